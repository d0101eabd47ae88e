/* Says what getopt_long(3) reads, an option a line. Its options are those of
   the tests in getopt.rs. */
#include <getopt.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"class", required_argument, NULL, 'c'},
		{"config-file", required_argument, NULL, 'f'},
		{"config_file", required_argument, NULL, 'f'},
		{"payload", required_argument, NULL, 'p'},
		{"payload-file", required_argument, NULL, 'P'},
		{"echo", no_argument, NULL, 'o'},
		{"no-post", no_argument, NULL, 'n'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:f:p:P:on", options, NULL)) != -1) {
		if (option == '?')
			return 1;
		for (const struct option *known = options; known->name; known++) {
			if (known->val == option) {
				printf(optarg ? "--%s=%s\n" : "--%s\n", known->name, optarg);
				break;
			}
		}
	}
	return 0;
}
