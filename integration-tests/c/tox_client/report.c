/* Lines of output: JSON objects, one a line. */
#include "client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

double clock_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What this process has used of processors until now. */
double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
           + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void report(const char *event) {
    printf("{\"at\":%.3f,\"event\":\"%s\"", clock_seconds() * 1000, event);
}

void put_text(const char *name, const void *bytes, size_t length) {
    const unsigned char *text = bytes;
    printf(",\"%s\":\"", name);
    for (size_t i = 0; i < length; i++) {
        if (text[i] < 0x20 || text[i] == '"' || text[i] == '\\') {
            printf("\\u%04x", text[i]);
        } else {
            putchar(text[i]);
        }
    }
    putchar('"');
}

void put_word(const char *name, const char *word) {
    put_text(name, word, strlen(word));
}

void put_hex(const char *name, const uint8_t *bytes, size_t length) {
    printf(",\"%s\":\"", name);
    for (size_t i = 0; i < length; i++) {
        printf("%02x", bytes[i]);
    }
    putchar('"');
}

void put_number(const char *name, uint64_t number) {
    printf(",\"%s\":%" PRIu64, name, number);
}

void put_code(const char *name, int code) {
    printf(",\"%s\":%d", name, code);
}

void put_real(const char *name, double number) {
    printf(",\"%s\":%.6f", name, number);
}

void put_flag(const char *name, bool flag) {
    printf(",\"%s\":%s", name, flag ? "true" : "false");
}

void put_friend(const Tox *tox, uint32_t number) {
    uint8_t key[TOX_PUBLIC_KEY_SIZE];
    if (tox_friend_get_public_key(tox, number, key, NULL)) {
        put_hex("friend", key, sizeof key);
    }
}

void report_end(void) {
    puts("}");
    fflush(stdout);
}
