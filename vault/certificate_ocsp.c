/* SPDX-License-Identifier: ISC */
/*
 * An OCSP response (RFC 6960) that is to be stapled: is it for this
 * certificate, and good?  Its signature is the clients' to verify, who know
 * the issuer.  Nothing here is fatal.
 */
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <string.h>

#include "vault/certificate_private.h"

/* RFC 6960 4.1.1: an issuer is told by the hash of its name, a certificate by its serial number. */
static bool
is_for(OCSP_SINGLERESP *single, X509 *leaf)
{
	const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	ASN1_OCTET_STRING *issuer;
	ASN1_INTEGER *serial;
	ASN1_OBJECT *digest;
	const EVP_MD *md;

	if (OCSP_id_get0_info(&issuer, &digest, NULL, &serial, (OCSP_CERTID *)(uintptr_t)id) != 1 ||
	    (md = EVP_get_digestbyobj(digest)) == NULL ||
	    X509_NAME_digest(X509_get_issuer_name(leaf), md, hash, &len) != 1)
		return false;
	return ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0 &&
	       ASN1_STRING_length(issuer) == (int)len &&
	       memcmp(ASN1_STRING_get0_data(issuer), hash, len) == 0;
}

static void
look_at_status(struct certificate *c, OCSP_SINGLERESP *single)
{
	ASN1_GENERALIZEDTIME *this_update, *next_update = NULL;
	int status;

	status = OCSP_single_get0_status(single, NULL, NULL, &this_update, &next_update);
	if (status == V_OCSP_CERTSTATUS_REVOKED)
		certificate_problem(c, true, "its issuer has revoked it, says the OCSP response");
	else if (status != V_OCSP_CERTSTATUS_GOOD)
		certificate_problem(c, false, "unknown to its issuer, says the OCSP response");
	if (next_update != NULL)
		c->ocsp_not_after_s = certificate_time(next_update);
}

static void
look_for_leaf(struct certificate *c, OCSP_BASICRESP *basic)
{
	int i;

	for (i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);

		if (is_for(single, c->leaf)) {
			look_at_status(c, single);
			return;
		}
	}
	certificate_problem(c, false, "the OCSP response is for another certificate");
}

void
certificate_check_ocsp(struct certificate *c, struct span der)
{
	const uint8_t *p = der.data;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, (long)der.len);
	OCSP_BASICRESP *basic = NULL;

	if (response == NULL)
		certificate_problem(
		    c, false, "the OCSP response can't be read: not DER, or damaged");
	else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL ||
		 (basic = OCSP_response_get1_basic(response)) == NULL)
		certificate_problem(c, false, "the OCSP response says nothing but an error");
	else
		look_for_leaf(c, basic);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
}
