/* Debian's libsodium behind a pipe: one request a line, one answer a line, everything in hexadecimal
 * ("-" for no bytes at all).
 *
 *   public SECRET                    -> the public key
 *   box SECRET PUBLIC NONCE PLAIN    -> crypto_box_easy
 *   unbox SECRET PUBLIC NONCE BOXED  -> crypto_box_open_easy, or "forged"
 *   seal KEY NONCE PLAIN             -> crypto_secretbox_easy
 *   open KEY NONCE BOXED             -> crypto_secretbox_open_easy, or "forged"
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 5
#define MAX_BYTES 4096
#define MAX_LINE (2 * MAX_FIELDS * MAX_BYTES)

struct field {
    unsigned char bytes[MAX_BYTES];
    size_t len;
};

static void fail(const char *why) {
    fprintf(stderr, "libsodium_boxes: %s\n", why);
    exit(1);
}

static void parse(const char *hex, struct field *out) {
    if (strcmp(hex, "-") == 0) {
        out->len = 0;
    } else if (sodium_hex2bin(out->bytes, MAX_BYTES, hex, strlen(hex), NULL, &out->len, NULL) != 0) {
        fail("a field is no hexadecimal, or too long");
    }
}

static void need(const struct field *field, size_t len) {
    if (field->len != len) {
        fail("a field has the wrong length");
    }
}

static void print(const unsigned char *bytes, size_t len) {
    if (len == 0) {
        putchar('-');
    }
    for (size_t i = 0; i < len; i++) {
        printf("%02x", bytes[i]);
    }
    putchar('\n');
}

static void answer(const char *verb, const struct field *f, int fields) {
    static unsigned char out[MAX_BYTES + crypto_box_MACBYTES];
    const struct field *text = &f[fields - 1];
    int sealing = strcmp(verb, "box") == 0 || strcmp(verb, "seal") == 0;
    int result;

    if (strcmp(verb, "public") == 0 && fields == 1) {
        need(&f[0], crypto_box_SECRETKEYBYTES);
        crypto_scalarmult_base(out, f[0].bytes);
        print(out, crypto_box_PUBLICKEYBYTES);
        return;
    }
    if (fields < 3) {
        fail("an unknown request");
    }
    need(&f[0], 32);
    need(&f[fields - 2], crypto_box_NONCEBYTES);
    const unsigned char *nonce = f[fields - 2].bytes;
    if (!sealing && text->len < crypto_box_MACBYTES) {
        result = -1;
    } else if (strcmp(verb, "box") == 0 && fields == 4) {
        need(&f[1], 32);
        result = crypto_box_easy(out, text->bytes, text->len, nonce, f[1].bytes, f[0].bytes);
    } else if (strcmp(verb, "unbox") == 0 && fields == 4) {
        need(&f[1], 32);
        result = crypto_box_open_easy(out, text->bytes, text->len, nonce, f[1].bytes, f[0].bytes);
    } else if (strcmp(verb, "seal") == 0 && fields == 3) {
        result = crypto_secretbox_easy(out, text->bytes, text->len, nonce, f[0].bytes);
    } else if (strcmp(verb, "open") == 0 && fields == 3) {
        result = crypto_secretbox_open_easy(out, text->bytes, text->len, nonce, f[0].bytes);
    } else {
        fail("an unknown request");
        return;
    }
    if (result != 0) {
        puts("forged");
    } else {
        print(out, sealing ? text->len + crypto_box_MACBYTES : text->len - crypto_box_MACBYTES);
    }
}

int main(void) {
    static char line[MAX_LINE];
    static struct field fields[MAX_FIELDS];

    if (sodium_init() < 0) {
        fail("sodium_init fails");
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        int count = 0;
        const char *verb = strtok(line, " \n");
        const char *word;
        while (count < MAX_FIELDS && (word = strtok(NULL, " \n")) != NULL) {
            parse(word, &fields[count++]);
        }
        if (verb == NULL || count == 0) {
            fail("an empty request");
        }
        answer(verb, fields, count);
        fflush(stdout);
    }
    return 0;
}
