/* Numbers and hexadecimal bytes of commands. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool parse_some(const char *text, uint8_t *bytes, size_t capacity, size_t *length) {
    size_t digits = strlen(text);
    if (digits % 2 != 0 || digits / 2 > capacity) {
        return false;
    }
    for (size_t i = 0; i < digits / 2; i++) {
        unsigned byte;
        int end = 0;
        if (sscanf(text + 2 * i, "%2x%n", &byte, &end) != 1 || end != 2) {
            return false;
        }
        bytes[i] = (uint8_t)byte;
    }
    *length = digits / 2;
    return true;
}

bool parse_bytes(const char *text, uint8_t *bytes, size_t length) {
    size_t found;
    return parse_some(text, bytes, length, &found) && found == length;
}

bool parse_number(const char *text, uint64_t most, uint64_t *number) {
    char *rest;
    errno = 0;
    *number = strtoull(text, &rest, 10);
    return errno == 0 && rest != text && *rest == '\0' && *number <= most;
}

bool parse_port(const char *text, uint16_t *port) {
    uint64_t number;
    if (!parse_number(text, UINT16_MAX, &number)) {
        return false;
    }
    *port = (uint16_t)number;
    return true;
}
