/* What an executor must grant, bound and refuse: one program, the argument says which.
 * Used by the conformance suite in tdc/src/engine/conformance.rs. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void echo(void) {
    char buffer[4096];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, stdin)) > 0)
        fwrite(buffer, 1, got, stdout);
}

/* Where the compiler cannot see what becomes of a pointer. */
static char *volatile kept;

/* Takes memory until there is no more. */
static void bomb(void) {
    for (;;) {
        kept = malloc(1 << 20);
        if (!kept)
            abort();
        memset(kept, 1, 1 << 20);
    }
}

static void flood(void) {
    static char block[65536];
    memset(block, 'x', sizeof block);
    for (;;)
        if (fwrite(block, 1, sizeof block, stdout) != sizeof block)
            exit(9);
}

static int deep(volatile int level) {
    volatile char frame[256];
    frame[level & 255] = (char)level;
    return level < 0 ? 0 : deep(level + 1) + frame[level & 255];
}

/* Everything that differs from machine to machine must look the same everywhere. */
static void world(void) {
    struct timespec now;
    unsigned char random[16];
    clock_gettime(CLOCK_REALTIME, &now);
    printf("clock %lld %ld\n", (long long)now.tv_sec, now.tv_nsec);
    getentropy(random, sizeof random);
    fputs("random ", stdout);
    for (size_t i = 0; i < sizeof random; i++)
        printf("%02x", random[i]);
    printf("\nenvironment %d\n", environ && environ[0] ? 1 : 0);
    printf("open %d\n", open("/etc/passwd", O_RDONLY));
    printf("seek %d\n", (int)lseek(0, 0, SEEK_SET));
}

/* The bits of a NaN that a processor made. */
static void nan_bits(void) {
    volatile double zero = 0;
    double nan = zero / zero;
    uint64_t bits;
    memcpy(&bits, &nan, sizeof bits);
    printf("%08x%08x\n", (unsigned)(bits >> 32), (unsigned)bits);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "echo";
    if (!strcmp(what, "echo"))
        echo();
    else if (!strcmp(what, "arguments"))
        for (int i = 0; i < argc; i++)
            puts(argv[i]);
    else if (!strcmp(what, "spin"))
        for (volatile unsigned i = 0;; i++)
            ;
    else if (!strcmp(what, "bomb"))
        bomb();
    else if (!strcmp(what, "flood"))
        flood();
    else if (!strcmp(what, "trap"))
        __builtin_trap();
    else if (!strcmp(what, "deep"))
        return deep(0);
    else if (!strcmp(what, "world"))
        world();
    else if (!strcmp(what, "nan"))
        nan_bits();
    else if (!strcmp(what, "exit")) {
        fputs("told to end\n", stderr);
        return argc > 2 ? atoi(argv[2]) : 1;
    } else
        return 100;
    return 0;
}
