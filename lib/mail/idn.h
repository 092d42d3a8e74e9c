/* SPDX-License-Identifier: ISC */
#ifndef LIB_MAIL_IDN_H
#define LIB_MAIL_IDN_H

#include "lib/base/bug.h"
#include "lib/mail/address.h"

/*
 * Internationalized domain names (RFC 5890): "bücher.example" and
 * "xn--bcher-kva.example" are one domain, which is compared, looked up and
 * asked of the DNS by its A-labels.  By libidn2 (IDNA2008, with the mapping of
 * UTS 46, non-transitional).  Pure.
 */

/*
 * The A-labels of a domain, in lower case; ASCII stays as it is, but for that, and an
 * address literal altogether.  -1: EINVAL, no such name can be; ENOMEM.
 */
int idn_to_ascii(const char *domain, char dst[ADDRESS_DOMAIN_MAX + 1]) WARN_UNUSED;
/*
 * The same domain with U-labels, which come from those A-labels and lead back to them.
 * -1: EINVAL, there are none, or they are too long; ENOMEM.
 */
int idn_to_unicode(const char *domain, char dst[ADDRESS_DOMAIN_MAX + 1]) WARN_UNUSED;
/* An address with A-labels.  -1: EINVAL, also when the local part is not ASCII (RFC 6531 3.7.4). */
int idn_address_to_ascii(const char *address, char dst[ADDRESS_MAX + 1]) WARN_UNUSED;

#endif
