/* Savedata in files. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tox/toxencryptsave.h>

static uint8_t *read_whole(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
        long size = ftell(file);
        rewind(file);
        bytes = size < 0 ? NULL : malloc((size_t)size + 1);
        if (bytes != NULL && fread(bytes, 1, (size_t)size, file) != (size_t)size) {
            free(bytes);
            bytes = NULL;
        }
        *length = (size_t)size;
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

/* The savedata in a file, or NULL; the caller frees it. */
uint8_t *load_save(const char *path, const char *password, size_t *length) {
    uint8_t *bytes = read_whole(path, length);
    if (bytes == NULL || password == NULL) {
        return bytes;
    }
    uint8_t *plain = NULL;
    if (*length > TOX_PASS_ENCRYPTION_EXTRA_LENGTH) {
        plain = malloc(*length - TOX_PASS_ENCRYPTION_EXTRA_LENGTH);
    }
    if (plain != NULL
        && !tox_pass_decrypt(bytes, *length, (const uint8_t *)password, strlen(password), plain, NULL)) {
        free(plain);
        plain = NULL;
    }
    free(bytes);
    *length -= plain == NULL ? 0 : TOX_PASS_ENCRYPTION_EXTRA_LENGTH;
    return plain;
}

bool store_save(const Tox *tox, const char *path, const char *password) {
    size_t length = tox_get_savedata_size(tox);
    uint8_t *plain = malloc(length);
    uint8_t *sealed = malloc(length + TOX_PASS_ENCRYPTION_EXTRA_LENGTH);
    bool good = plain != NULL && sealed != NULL;
    if (good) {
        tox_get_savedata(tox, plain);
    }
    if (good && password != NULL) {
        good = tox_pass_encrypt(plain, length, (const uint8_t *)password, strlen(password), sealed, NULL);
        length += TOX_PASS_ENCRYPTION_EXTRA_LENGTH;
    }
    FILE *file = good ? fopen(path, "wb") : NULL;
    if (file != NULL) {
        good = fwrite(password == NULL ? plain : sealed, 1, length, file) == length;
        good = fclose(file) == 0 && good;
    }
    free(plain);
    free(sealed);
    return good && file != NULL;
}
