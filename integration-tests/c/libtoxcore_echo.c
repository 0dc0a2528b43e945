/* One peer of Debian's libtoxcore on 127.0.0.1 that has one friend, and says again what it hears:
 * messages, and custom lossless packets. IPv4 only, no LAN discovery.
 *
 *   libtoxcore_echo FRIEND_KEY
 *
 * It prints `port UDP_PORT`, `dht KEY`, `real KEY` (one a line), then the states of the friend as they
 * change, and runs until its standard input ends.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tox/tox.h>
#include <unistd.h>

enum { MAX_WAITING = 8192 };

/* Custom packets that libtoxcore's own queue had no room for, in order. */
static struct {
    uint8_t bytes[TOX_MAX_CUSTOM_PACKET_SIZE];
    size_t length;
} waiting[MAX_WAITING];
static size_t first, count;

static void print_key(const char *name, const uint8_t *key) {
    printf("%s ", name);
    for (int i = 0; i < TOX_PUBLIC_KEY_SIZE; i++) {
        printf("%02x", key[i]);
    }
    putchar('\n');
}

static void on_friend(Tox *tox, uint32_t number, TOX_CONNECTION state, void *data) {
    (void)tox;
    (void)data;
    printf("friend %u %d\n", number, (int)state);
}

static void on_message(Tox *tox, uint32_t number, TOX_MESSAGE_TYPE type, const uint8_t *message,
                       size_t length, void *data) {
    (void)data;
    tox_friend_send_message(tox, number, type, message, length, NULL);
}

static void on_packet(Tox *tox, uint32_t number, const uint8_t *bytes, size_t length, void *data) {
    (void)tox;
    (void)number;
    (void)data;
    if (count < MAX_WAITING) {
        size_t place = (first + count) % MAX_WAITING;
        memcpy(waiting[place].bytes, bytes, length);
        waiting[place].length = length;
        count++;
    }
}

static void say_again(Tox *tox) {
    while (count > 0 && tox_friend_send_lossless_packet(tox, 0, waiting[first].bytes,
                                                        waiting[first].length, NULL)) {
        first = (first + 1) % MAX_WAITING;
        count--;
    }
}

int main(int argc, char **argv) {
    uint8_t key[TOX_PUBLIC_KEY_SIZE];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 2 || strlen(argv[1]) != 2 * sizeof key) {
        fprintf(stderr, "usage: libtoxcore_echo FRIEND_KEY\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof key; i++) {
        unsigned byte;
        if (sscanf(argv[1] + 2 * i, "%2x", &byte) != 1) {
            return 1;
        }
        key[i] = (uint8_t)byte;
    }
    struct Tox_Options *options = tox_options_new(NULL);
    tox_options_set_ipv6_enabled(options, false);
    tox_options_set_local_discovery_enabled(options, false);
    tox_options_set_hole_punching_enabled(options, false);
    Tox *tox = tox_new(options, NULL);
    tox_options_free(options);
    if (tox == NULL || tox_friend_add_norequest(tox, key, NULL) != 0) {
        fprintf(stderr, "libtoxcore_echo: cannot start\n");
        return 1;
    }
    tox_callback_friend_connection_status(tox, on_friend);
    tox_callback_friend_message(tox, on_message);
    tox_callback_friend_lossless_packet(tox, on_packet);

    printf("port %u\n", tox_self_get_udp_port(tox, NULL));
    tox_self_get_dht_id(tox, key);
    print_key("dht", key);
    tox_self_get_public_key(tox, key);
    print_key("real", key);

    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    while (poll(&input, 1, 5) == 0 || read(STDIN_FILENO, &byte, 1) > 0) {
        tox_iterate(tox, NULL);
        say_again(tox);
    }
    tox_kill(tox);
    return 0;
}
