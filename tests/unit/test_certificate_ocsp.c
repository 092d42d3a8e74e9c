/* SPDX-License-Identifier: ISC */
/* What a certificate is compared with, or stands for: OCSP responses, channel bindings. */
#include "vault/certificate.h"

#include <openssl/ocsp.h>

#include "tests/unit/certificate_fixture.h"

static struct pki ca, good;

static int
setup(void **state)
{
	(void)state;
	pki_make(&ca, &(struct pki_spec){.key = "P-256",
			  .name = "Test CA",
			  .names = "",
			  .from_s = -PKI_DAY,
			  .to_s = 900 * PKI_DAY,
			  .basic = "critical,CA:TRUE"});
	pki_make(&good, &(struct pki_spec){.key = "P-256",
			    .name = "mx.example.org",
			    .from_s = -60,
			    .to_s = 90 * PKI_DAY,
			    .issuer = &ca});
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pki_free(&ca);
	pki_free(&good);
	return 0;
}

/* A response in DER about subject, signed by the CA. */
static uint8_t *
make_ocsp(const struct pki *subject, int status, long until_s, int *len)
{
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), subject->x509, ca.x509);
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	ASN1_TIME *from = X509_gmtime_adj(NULL, -999), *until = X509_gmtime_adj(NULL, until_s);
	ASN1_TIME *revoked = status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL;
	OCSP_RESPONSE *response;
	uint8_t *der = NULL;

	assert_non_null(OCSP_basic_add1_status(basic, id, status, 0, revoked, from, until));
	assert_int_equal(OCSP_basic_sign(basic, ca.x509, ca.key, EVP_sha256(), NULL, 0), 1);
	assert_non_null(response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic));
	*len = i2d_OCSP_RESPONSE(response, &der);
	assert_true(*len > 0);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	return der;
}

static void
test_ocsp(void **state)
{
	static const struct {
		bool of_another;
		int status;
		long until_s;
		const char *problems;
	} rows[] = {
	    {false, V_OCSP_CERTSTATUS_GOOD, PKI_DAY, ""},
	    {false, V_OCSP_CERTSTATUS_GOOD, -9, "warning: the OCSP response is out of date"},
	    {false, V_OCSP_CERTSTATUS_REVOKED, PKI_DAY,
		"error: its issuer has revoked it, says the OCSP response"},
	    {false, V_OCSP_CERTSTATUS_UNKNOWN, PKI_DAY,
		"warning: unknown to its issuer, says the OCSP response"},
	    {true, V_OCSP_CERTSTATUS_GOOD, PKI_DAY,
		"warning: the OCSP response is for another certificate"},
	};
	struct certificate_files files = {
	    span_of(&good.cert_pem), span_of(&good.key_pem), {NULL, 0}};
	struct certificate c;
	OCSP_RESPONSE *error;
	uint8_t *der = NULL;
	size_t i;
	int len;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		der = make_ocsp(
		    rows[i].of_another ? &ca : &good, rows[i].status, rows[i].until_s, &len);
		files.ocsp = (struct span){der, (size_t)len};
		expect(&files, rows[i].problems, true);
		for (; i == 0 && files.ocsp.len > 0; files.ocsp.len--) {
			certificate_open(&c, &files);
			certificate_close(&c);
		}
		OPENSSL_free(der);
	}
	der = NULL;
	error = OCSP_response_create(OCSP_RESPONSE_STATUS_TRYLATER, NULL);
	len = i2d_OCSP_RESPONSE(error, &der);
	files.ocsp = (struct span){der, (size_t)len};
	expect(&files, "warning: the OCSP response says nothing but an error", true);
	OPENSSL_free(der);
	OCSP_RESPONSE_free(error);
	files.ocsp = span_of_text("-----BEGIN OCSP RESPONSE-----");
	expect(&files, "warning: the OCSP response can't be read: not DER, or damaged", true);
}

/* RFC 5929 4.1 */
static void
test_binding(void **state)
{
	const struct {
		const char *issuer_key;
		const EVP_MD *signed_with, *bound_with;
	} rows[] = {
	    {"P-256", EVP_sha256(), EVP_sha256()},
	    {"P-256", EVP_sha384(), EVP_sha384()},
	    {"RSA-2048", EVP_sha512(), EVP_sha512()},
	    {"RSA-2048", EVP_sha1(), EVP_sha256()},
	    {"ED25519", EVP_sha256(), NULL},
	};
	uint8_t hash[CERTIFICATE_BINDING_MAX], expected[EVP_MAX_MD_SIZE];
	struct certificate c;
	unsigned int n;
	size_t i, len;

	(void)state;
	for (i = 0; i < NITEMS(rows); i++) {
		struct pki issuer, p;
		int rc;

		pki_make_simple(&issuer, rows[i].issuer_key, "issuer");
		pki_make(&p, &(struct pki_spec){.key = "P-256",
				 .name = "a.example.org",
				 .from_s = -9,
				 .to_s = 90 * PKI_DAY,
				 .issuer = &issuer,
				 .md = rows[i].signed_with});
		certificate_open(&c, &(struct certificate_files){
					 span_of(&p.cert_pem), span_of(&p.key_pem), {NULL, 0}});
		rc = certificate_binding(&c, hash, &len);
		if (rows[i].bound_with == NULL)
			assert_int_equal(rc, -1);
		else {
			assert_int_equal(rc, 0);
			assert_int_equal(X509_digest(p.x509, rows[i].bound_with, expected, &n), 1);
			assert_int_equal(len, n);
			assert_memory_equal(hash, expected, n);
		}
		certificate_close(&c);
		pki_free(&p);
		pki_free(&issuer);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ocsp),
	    cmocka_unit_test(test_binding),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
