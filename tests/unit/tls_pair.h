/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_TLS_PAIR_H
#define TESTS_UNIT_TLS_PAIR_H

/* Made for these tests, self-signed, for peer.test alone. */
static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBlDCCATugAwIBAgIUVyCFQZFZ9eqcGucENxzWZ8b0vGEwCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJcGVlci50ZXN0MCAXDTI2MTEyMzAwNTc0OVoYDzIxMjYxMDMw\n"
    "MDA1NzQ5WjAUMRIwEAYDVQQDDAlwZWVyLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAAS33WtASjxKYSg9xlJ6260aSw446lz9cH5Ev6E7bgPmou9C0gevQUUc\n"
    "H10ZGg7gW5yT0QperVxsmD6KCvMyrJDyo2kwZzAdBgNVHQ4EFgQUs5OmEgmn9kaN\n"
    "owb6/EIo5mTADRgwHwYDVR0jBBgwFoAUs5OmEgmn9kaNowb6/EIo5mTADRgwDwYD\n"
    "VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglwZWVyLnRlc3QwCgYIKoZIzj0EAwID\n"
    "RwAwRAIgXOdMUi7IpJJeS+n4+4tSd2EtOu+cNB8fMI62czFUBhICIDLCzV/B4HrT\n"
    "hxjUuoMFqg8VMyGw3zMoPia/QcJ3XtXa\n"
    "-----END CERTIFICATE-----\n";
static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
			  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCQS2zaoixejJrowX\n"
			  "dTxE1MAz1HqX1DiUQmjRF8lfntOhRANCAAS33WtASjxKYSg9xlJ6260aSw446lz9\n"
			  "cH5Ev6E7bgPmou9C0gevQUUcH10ZGg7gW5yT0QperVxsmD6KCvMyrJDy\n"
			  "-----END PRIVATE KEY-----\n";

#endif
