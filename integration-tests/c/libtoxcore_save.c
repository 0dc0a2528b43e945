/* Save files of Debian's libtoxcore: makes one, or reads one and prints what is in it. No network: UDP
 * is off, and nothing iterates.
 *
 *   libtoxcore_save make FILE ASKED_TOX_ID FRIEND_KEY [PASSWORD]
 *   libtoxcore_save read FILE [PASSWORD]
 *
 * Both print `id TOX_ID`, `name HEX`, `message HEX`, `status NUMBER`, then for each friend
 * `friend KEY NAME_HEX MESSAGE_HEX LAST_ONLINE`, and for each conference `conference TITLE_HEX`. Empty
 * texts are a dash.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tox/tox.h>
#include <tox/toxencryptsave.h>

enum { MAX_FILE = 1 << 20 };

static uint8_t file[MAX_FILE], plain[MAX_FILE];

static int fail(const char *what, int error) {
    fprintf(stderr, "libtoxcore_save: %s (%d)\n", what, error);
    exit(1);
}

static void print_hex(const uint8_t *bytes, size_t length) {
    putchar(' ');
    for (size_t i = 0; i < length; i++) {
        printf("%02x", bytes[i]);
    }
    if (length == 0) {
        putchar('-');
    }
}

static void read_hex(uint8_t *bytes, size_t length, const char *hex) {
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) {
            fail("no hexadecimal", 0);
        }
        bytes[i] = (uint8_t)byte;
    }
}

static Tox *start(const uint8_t *save, size_t length) {
    TOX_ERR_NEW error;
    struct Tox_Options *options = tox_options_new(NULL);
    tox_options_set_udp_enabled(options, false);
    tox_options_set_local_discovery_enabled(options, false);
    if (length > 0) {
        tox_options_set_savedata_type(options, TOX_SAVEDATA_TYPE_TOX_SAVE);
        tox_options_set_savedata_data(options, save, length);
    }
    Tox *tox = tox_new(options, &error);
    tox_options_free(options);
    if (tox == NULL) {
        fail("tox_new", (int)error);
    }
    return tox;
}

static void write_file(const char *path, Tox *tox, const char *password) {
    size_t length = tox_get_savedata_size(tox);
    tox_get_savedata(tox, plain);
    uint8_t *bytes = plain;
    if (password != NULL) {
        if (!tox_pass_encrypt(plain, length, (const uint8_t *)password, strlen(password), file, NULL)) {
            fail("tox_pass_encrypt", 0);
        }
        bytes = file;
        length += TOX_PASS_ENCRYPTION_EXTRA_LENGTH;
    }
    FILE *out = fopen(path, "wb");
    if (out == NULL || fwrite(bytes, 1, length, out) != length || fclose(out) != 0) {
        fail("cannot write", 0);
    }
}

static Tox *read_file(const char *path, const char *password) {
    FILE *in = fopen(path, "rb");
    size_t length = in == NULL ? 0 : fread(file, 1, sizeof file, in);
    if (length == 0 || fclose(in) != 0) {
        fail("cannot read", 0);
    }
    if (password == NULL) {
        return start(file, length);
    }
    TOX_ERR_DECRYPTION error;
    if (!tox_pass_decrypt(file, length, (const uint8_t *)password, strlen(password), plain, &error)) {
        fail("tox_pass_decrypt", (int)error);
    }
    return start(plain, length - TOX_PASS_ENCRYPTION_EXTRA_LENGTH);
}

static Tox *make(const char *asked, const char *friend_key) {
    Tox *tox = start(NULL, 0);
    uint8_t address[TOX_ADDRESS_SIZE], key[TOX_PUBLIC_KEY_SIZE];
    static const char name[] = "Renée", message[] = "über den Wolken", request[] = "It is me, Renée";
    static const char title[] = "Tea at five";
    read_hex(address, sizeof address, asked);
    read_hex(key, sizeof key, friend_key);
    TOX_ERR_FRIEND_ADD error;
    tox_self_set_name(tox, (const uint8_t *)name, strlen(name), NULL);
    tox_self_set_status_message(tox, (const uint8_t *)message, strlen(message), NULL);
    tox_self_set_status(tox, TOX_USER_STATUS_BUSY);
    tox_friend_add(tox, address, (const uint8_t *)request, strlen(request), &error);
    if (error != TOX_ERR_FRIEND_ADD_OK) {
        fail("tox_friend_add", (int)error);
    }
    tox_friend_add_norequest(tox, key, &error);
    if (error != TOX_ERR_FRIEND_ADD_OK) {
        fail("tox_friend_add_norequest", (int)error);
    }
    uint32_t conference = tox_conference_new(tox, NULL);
    tox_conference_set_title(tox, conference, (const uint8_t *)title, strlen(title), NULL);
    return tox;
}

static void print_friend(Tox *tox, uint32_t number) {
    uint8_t key[TOX_PUBLIC_KEY_SIZE], name[TOX_MAX_NAME_LENGTH], message[TOX_MAX_STATUS_MESSAGE_LENGTH];
    tox_friend_get_public_key(tox, number, key, NULL);
    tox_friend_get_name(tox, number, name, NULL);
    tox_friend_get_status_message(tox, number, message, NULL);
    printf("friend");
    print_hex(key, sizeof key);
    print_hex(name, tox_friend_get_name_size(tox, number, NULL));
    print_hex(message, tox_friend_get_status_message_size(tox, number, NULL));
    printf(" %llu\n", (unsigned long long)tox_friend_get_last_online(tox, number, NULL));
}

static void print(Tox *tox) {
    uint8_t address[TOX_ADDRESS_SIZE], text[TOX_MAX_STATUS_MESSAGE_LENGTH];
    uint32_t numbers[64];
    tox_self_get_address(tox, address);
    printf("id");
    print_hex(address, sizeof address);
    tox_self_get_name(tox, text);
    printf("\nname");
    print_hex(text, tox_self_get_name_size(tox));
    tox_self_get_status_message(tox, text);
    printf("\nmessage");
    print_hex(text, tox_self_get_status_message_size(tox));
    printf("\nstatus %d\n", (int)tox_self_get_status(tox));
    size_t count = tox_self_get_friend_list_size(tox);
    if (count <= sizeof numbers / sizeof *numbers) {
        tox_self_get_friend_list(tox, numbers);
        for (size_t i = 0; i < count; i++) {
            print_friend(tox, numbers[i]);
        }
    }
    count = tox_conference_get_chatlist_size(tox);
    if (count <= sizeof numbers / sizeof *numbers) {
        tox_conference_get_chatlist(tox, numbers);
        for (size_t i = 0; i < count; i++) {
            tox_conference_get_title(tox, numbers[i], text, NULL);
            printf("conference");
            print_hex(text, tox_conference_get_title_size(tox, numbers[i], NULL));
            putchar('\n');
        }
    }
}

int main(int argc, char **argv) {
    Tox *tox;
    if (argc >= 5 && strcmp(argv[1], "make") == 0 && strlen(argv[3]) == 2 * TOX_ADDRESS_SIZE &&
        strlen(argv[4]) == 2 * TOX_PUBLIC_KEY_SIZE) {
        tox = make(argv[3], argv[4]);
        write_file(argv[2], tox, argv[5]);
    } else if (argc >= 3 && strcmp(argv[1], "read") == 0) {
        tox = read_file(argv[2], argv[3]);
    } else {
        fprintf(stderr, "usage: libtoxcore_save make FILE TOX_ID KEY [PASSWORD] | read FILE [PASSWORD]\n");
        return 1;
    }
    print(tox);
    tox_kill(tox);
    return 0;
}
