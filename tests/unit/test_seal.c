/* SPDX-License-Identifier: ISC */
/*
 * What the parent keeps for the vault: the key is made once, what is kept takes the place of what was
 * there at once, comes back with the configuration, and lies nowhere else than it should.
 */
#include "tests/unit/feed_scene.h"

#include <sys/wait.h>

#include <dirent.h>
#include <signal.h>

static const char oauth[] =
    "oauth one user a@b client-id i token-url https://h/ auth-url https://h/\n";
static const char several[] =
    "oauth a user a@b client-id i token-url https://h/ auth-url https://h/\n"
    "oauth A0 user a@b client-id i token-url https://h/ auth-url https://h/\n"
    "oauth me@example.org user a@b client-id i token-url https://h/ auth-url https://h/\n"
    "oauth a.b-c_d+e user a@b client-id i token-url https://h/ auth-url https://h/\n";

static void
scene_make_vault(struct scene *s, const char *extra)
{
	scene_make(s, ROLE_VAULT);
	s->extra = extra;
	conf_free(s->d.conf);
	s->d.conf = NULL;
	s->d.generation = 0;
	configure(s);
	assert_int_equal(slice_send(s->child), 0);
}

static void
scene_end(struct scene *s)
{
	seal_free(&s->d);
	scene_free(s);
}

/* Asks as the vault does; the journal begins anew with the answer. */
static void
seal(struct scene *s, const char *name, const void *data, size_t len)
{
	struct msg_seal m = {.req = 1, .name = name, .data = {data, len}};

	s->journal[0] = '\0';
	assert_int_equal(channel_send(s->its, MSG_seal, &m), 0);
	hear(s);
}

/* What of the journal comes after the key, whose octets nobody knows. */
static const char *
after_key(const struct scene *s)
{
	const char *at = strstr(s->journal, "sealkey:=");

	if (at == NULL)
		fail_msg("no key: %s", s->journal);
	assert_int_equal(strncmp(at, "sealkey:=32 ", 12), 0);
	return at + 12;
}

static void
configure_again(struct scene *s)
{
	slice_stop(s->child);
	configure(s);
	s->journal[0] = '\0';
	assert_int_equal(slice_send(s->child), 0);
	hear(s);
}

/* The names in the directory, each after a blank. */
static void
names_of(const struct scene *s, char *out, size_t size)
{
	DIR *d = opendir(path_of(s, "v/w"));
	const struct dirent *e;
	size_t n = 0;

	out[0] = '\0';
	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			n += (size_t)snprintf(out + n, size - n, " %s", e->d_name);
	(void)closedir(d);
}

static void
test_without_oauth_there_is_nothing(void **state)
{
	struct scene s;

	(void)state;
	scene_make_vault(&s, "");
	hear(&s);
	assert_null(strstr(s.journal, "seal"));
	assert_int_equal(access(path_of(&s, "vault.key"), F_OK), -1);
	assert_int_equal(access(path_of(&s, "v"), F_OK), -1);
	scene_end(&s);
}

static void
test_key_is_made_once(void **state)
{
	struct stat st, again;
	struct scene s;

	(void)state;
	scene_make_vault(&s, oauth);
	hear(&s);
	assert_string_equal(after_key(&s), "conf1 lock ");
	assert_int_equal(stat(path_of(&s, "vault.key"), &st), 0);
	assert_int_equal(st.st_size, SEAL_KEY_SIZE);
	assert_int_equal(st.st_mode & 07777, 0600);
	configure_again(&s);
	assert_string_equal(after_key(&s), "conf2 ");
	assert_int_equal(stat(path_of(&s, "vault.key"), &again), 0);
	assert_int_equal(st.st_ino, again.st_ino);
	scene_end(&s);
}

/* A fresh one would make what was sealed look like rubbish. */
static void
test_key_is_not_made_over_what_was_sealed(void **state)
{
	struct scene s;

	(void)state;
	scene_make_vault(&s, oauth);
	hear(&s);
	seal(&s, "one", "data", 4);
	assert_string_equal(s.journal, "sealed:0 ");
	assert_return_code(unlink(path_of(&s, "vault.key")), errno);
	configure_again(&s);
	assert_non_null(strstr(s.journal, "sealkey:=none sealed:one=data "));
	assert_int_equal(access(path_of(&s, "vault.key"), F_OK), -1);
	scene_end(&s);
}

static void
test_what_is_kept_comes_back(void **state)
{
	char names[256];
	struct stat st;
	struct scene s;

	(void)state;
	scene_make_vault(&s, oauth);
	hear(&s);
	seal(&s, "one", "data", 4);
	assert_string_equal(s.journal, "sealed:0 ");
	assert_int_equal(stat(path_of(&s, "v/w/one"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(path_of(&s, "v/w"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	seal(&s, "one", "newer", 5);
	assert_string_equal(s.journal, "sealed:0 ");
	configure_again(&s);
	assert_string_equal(after_key(&s), "sealed:one=newer conf2 ");
	seal(&s, "one", "", 0);
	seal(&s, "one", "", 0); /* it is as forgotten as before */
	assert_string_equal(s.journal, "sealed:0 ");
	configure_again(&s);
	assert_string_equal(after_key(&s), "conf3 ");
	names_of(&s, names, sizeof(names));
	assert_string_equal(names, "");
	scene_end(&s);
}

/* What a crash left behind is no obstacle, and no data. */
static void
test_rest_of_a_crash(void **state)
{
	char names[256];
	struct scene s;

	(void)state;
	scene_make_vault(&s, oauth);
	hear(&s);
	seal(&s, "one", "data", 4);
	file_put(&s, "v/w/.new", "half of someth");
	configure_again(&s);
	assert_string_equal(after_key(&s), "sealed:one=data conf2 ");
	seal(&s, "one", "newer", 5);
	assert_string_equal(s.journal, "sealed:0 ");
	names_of(&s, names, sizeof(names));
	assert_string_equal(names, " one");
	scene_end(&s);
}

static void
test_names(void **state)
{
	static const char *const wrong[] = {"", ".", "..", ".new", "a/b", "../x", "/etc/passwd",
	    "a b", "a\nb", "-a", "\xc3\xa9", "b"};
	static const char *const right[] = {"a", "A0", "me@example.org", "a.b-c_d+e"};
	char names[256];
	struct scene s;
	size_t i;

	(void)state;
	scene_make_vault(&s, several);
	hear(&s);
	for (i = 0; i < NITEMS(wrong); i++) {
		seal(&s, wrong[i], "data", 4);
		assert_string_equal(s.journal, "sealed:2smtpd.conf has no such oauth ");
	}
	for (i = 0; i < NITEMS(right); i++) {
		seal(&s, right[i], "data", 4);
		assert_string_equal(s.journal, "sealed:0 ");
		(void)snprintf(names, sizeof(names), "v/w/%s", right[i]);
		assert_int_equal(access(path_of(&s, names), F_OK), 0);
	}
	scene_end(&s);
}

/* A directory that others can look into, or that is none, is not used. */
static void
test_directory_of_others(void **state)
{
	char kept[512];
	struct scene s;

	(void)state;
	scene_make_vault(&s, oauth);
	hear(&s);
	(void)snprintf(kept, sizeof(kept), "%s/kept", s.dir);
	seal(&s, "one", "data", 4);
	assert_return_code(chmod(path_of(&s, "v/w"), 0750), errno);
	seal(&s, "one", "newer", 5);
	assert_string_equal(s.journal, "sealed:1others can look into it; make it mode 0700 ");
	configure_again(&s);
	assert_string_equal(after_key(&s), "conf2 ");
	/* What is in it is not known: no key is made over it either. */
	assert_return_code(rename(path_of(&s, "vault.key"), kept), errno);
	configure_again(&s);
	assert_non_null(strstr(s.journal, "sealkey:=none conf3 "));
	assert_return_code(rename(kept, path_of(&s, "vault.key")), errno);
	assert_return_code(chmod(path_of(&s, "v/w"), 0700), errno);
	configure_again(&s);
	assert_string_equal(after_key(&s), "sealed:one=data conf4 ");
	scene_end(&s);
}

/* A symbolic link in the place of a file is replaced, never followed. */
static void
test_link_is_not_followed(void **state)
{
	struct scene s;
	struct stat st;

	(void)state;
	scene_make_vault(&s, oauth);
	hear(&s);
	seal(&s, "one", "older", 5);
	assert_return_code(unlink(path_of(&s, "v/w/one")), errno);
	assert_return_code(symlink("../../vault.key", path_of(&s, "v/w/one")), errno);
	seal(&s, "one", "data", 4);
	assert_string_equal(s.journal, "sealed:0 ");
	assert_int_equal(lstat(path_of(&s, "v/w/one"), &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(stat(path_of(&s, "vault.key"), &st), 0);
	assert_int_equal(st.st_size, SEAL_KEY_SIZE);
	scene_end(&s);
}

/* A vault in wrong hands can keep the disk busy for a moment only. */
static void
test_too_often(void **state)
{
	struct scene s;
	size_t i, n = 0;

	(void)state;
	scene_make_vault(&s, oauth);
	hear(&s);
	for (i = 0; i < 200; i++) {
		seal(&s, "one", "", 0);
		if (strcmp(s.journal, "sealed:0 ") == 0)
			n++;
		else
			assert_string_equal(s.journal, "sealed:1too often ");
	}
	/* However slow this machine is, a second has passed a few times at most. */
	assert_true(n >= 64);
	scene_end(&s);
}

#define KILLS 40

/* The parent, for as long as it lives: one content after another under one name. */
static _Noreturn void
seal_without_end(struct scene *s, uint8_t *data, size_t len)
{
	struct msg_seal m = {.req = 1, .name = "one", .data = {data, len}};

	for (;; data[0] ^= 1) {
		memset(data, data[0], len);
		s->child->nseals = 0;
		seal_answer(s->child, &m);
	}
}

/* Whenever it is killed, there is one of them, whole. */
static void
test_killed_at_any_moment(void **state)
{
	static uint8_t data[IPC_SEALED_MAX], got[IPC_SEALED_MAX + 1];
	struct scene s;
	size_t len;
	FILE *f;
	pid_t pid;
	int i;

	(void)state;
	memset(data, 'a', sizeof(data));
	scene_make_vault(&s, oauth);
	hear(&s);
	seal(&s, "one", data, sizeof(data));
	for (i = 0; i < KILLS; i++) {
		assert_return_code(pid = fork(), errno);
		if (pid == 0)
			seal_without_end(&s, data, sizeof(data));
		(void)usleep((useconds_t)(i * 977 % 10000));
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_non_null(f = fopen(path_of(&s, "v/w/one"), "r"));
		len = fread(got, 1, sizeof(got), f);
		(void)fclose(f);
		assert_int_equal(len, sizeof(data));
		assert_true(memchr(got, got[0] ^ 1, len) == NULL);
	}
	configure_again(&s);
	assert_non_null(strstr(s.journal, "sealed:one=16384 conf2 "));
	scene_end(&s);
}

static void
test_key_of_assertions(void **state)
{
	char extra[1024];
	struct scene s;

	(void)state;
	scene_make(&s, ROLE_VAULT);
	file_put(&s, "robot.pem", "robot");
	(void)snprintf(extra, sizeof(extra),
	    "oauth robot provider google grant jwt user a@b client-id i key \"%s\"\n",
	    path_of(&s, "robot.pem"));
	s.extra = extra;
	configure(&s);
	assert_int_equal(slice_send(s.child), 0);
	hear(&s);
	assert_string_equal(after_key(&s), "oauthkey:robot=robot conf2 lock ");
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_without_oauth_there_is_nothing),
	    cmocka_unit_test(test_key_is_made_once),
	    cmocka_unit_test(test_key_is_not_made_over_what_was_sealed),
	    cmocka_unit_test(test_what_is_kept_comes_back),
	    cmocka_unit_test(test_rest_of_a_crash),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_directory_of_others),
	    cmocka_unit_test(test_link_is_not_followed),
	    cmocka_unit_test(test_too_often),
	    cmocka_unit_test(test_killed_at_any_moment),
	    cmocka_unit_test(test_key_of_assertions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
