/* SPDX-License-Identifier: ISC */
/*
 * Runs a fuzz target over files: how `make check` replays the corpora, with
 * any compiler, under the sanitizers of the asan build.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay_file(const char *path)
{
	struct stat st;
	uint8_t *data = NULL;
	size_t size;
	FILE *f;
	int rc = -1;

	if ((f = fopen(path, "rb")) == NULL || fstat(fileno(f), &st) == -1)
		goto out;
	size = (size_t)st.st_size;
	/* Exactly as large as the input, so that one octet too far is seen. */
	if ((data = malloc(size == 0 ? 1 : size)) == NULL || fread(data, 1, size, f) != size)
		goto out;
	(void)LLVMFuzzerTestOneInput(data, size);
	rc = 0;
out:
	free(data);
	if (f != NULL)
		(void)fclose(f);
	if (rc == -1)
		perror(path);
	return rc;
}

int
main(int argc, char **argv)
{
	char path[4096];
	struct dirent *e;
	int n = 0;
	DIR *dir;

	if (argc != 2 || (dir = opendir(argv[1])) == NULL) {
		(void)fprintf(stderr, "usage: %s corpus-directory\n", argv[0]);
		return 2;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
		if (replay_file(path) == -1)
			return 1;
		n++;
	}
	(void)closedir(dir);
	(void)printf("%d inputs\n", n);
	return n > 0 ? 0 : 1;
}
