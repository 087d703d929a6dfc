/* SPDX-License-Identifier: BSD-2-Clause */
/* A program in plain C, to which close() is no name of the system's: whoever calls this one with a number breaks it. */
#include <stdio.h>

struct door {
    int open;
};

int close(struct door *);

int close(struct door *door)
{
    door->open = 0;
    return 0;
}

int main(void)
{
    struct door front = {1};
    close(&front);
    return front.open || puts("shut") < 0 || fclose(stdout) != 0;
}
