/* One peer of Debian's libtoxcore on 127.0.0.1: IPv4 only, no LAN discovery. It prints
 *
 *   port UDP_PORT, dht KEY, real KEY   (one a line)
 *
 * and runs until its standard input ends. Each argument is one thing to do first, in this order:
 *
 *   bootstrap=PORT:KEY   bootstrap from a DHT node on 127.0.0.1
 *   relay=PORT:KEY       connect to a TCP relay on 127.0.0.1
 *   friend=KEY           accept this long-term key as a friend
 *
 * The states of the connection and of friends are printed as they change.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tox/tox.h>
#include <unistd.h>

static void fail(const char *what, const char *argument) {
    fprintf(stderr, "libtoxcore_peer: %s: %s\n", what, argument);
    exit(1);
}

static void print_key(const char *name, const uint8_t *key) {
    printf("%s ", name);
    for (int i = 0; i < TOX_PUBLIC_KEY_SIZE; i++) {
        printf("%02x", key[i]);
    }
    putchar('\n');
}

static void parse_key(const char *hex, uint8_t *key) {
    for (int i = 0; i < TOX_PUBLIC_KEY_SIZE; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) {
            fail("no key", hex);
        }
        key[i] = (uint8_t)byte;
    }
}

/* Reads PORT:KEY. */
static uint16_t parse_node(const char *text, uint8_t *key) {
    char *rest;
    long port = strtol(text, &rest, 10);
    if (*rest != ':' || port <= 0 || port > 65535) {
        fail("no port and key", text);
    }
    parse_key(rest + 1, key);
    return (uint16_t)port;
}

static void obey(Tox *tox, const char *argument) {
    uint8_t key[TOX_PUBLIC_KEY_SIZE];
    if (strncmp(argument, "bootstrap=", 10) == 0) {
        uint16_t port = parse_node(argument + 10, key);
        if (!tox_bootstrap(tox, "127.0.0.1", port, key, NULL)) {
            fail("cannot bootstrap", argument);
        }
    } else if (strncmp(argument, "relay=", 6) == 0) {
        uint16_t port = parse_node(argument + 6, key);
        if (!tox_add_tcp_relay(tox, "127.0.0.1", port, key, NULL)) {
            fail("cannot add the relay", argument);
        }
    } else if (strncmp(argument, "friend=", 7) == 0) {
        parse_key(argument + 7, key);
        if (tox_friend_add_norequest(tox, key, NULL) == UINT32_MAX) {
            fail("cannot add the friend", argument);
        }
    } else {
        fail("unknown argument", argument);
    }
}

static void on_self(Tox *tox, TOX_CONNECTION state, void *data) {
    (void)tox;
    (void)data;
    printf("self %d\n", (int)state);
}

static void on_friend(Tox *tox, uint32_t number, TOX_CONNECTION state, void *data) {
    (void)tox;
    (void)data;
    printf("friend %u %d\n", number, (int)state);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct Tox_Options *options = tox_options_new(NULL);
    tox_options_set_ipv6_enabled(options, false);
    tox_options_set_local_discovery_enabled(options, false);
    tox_options_set_hole_punching_enabled(options, false);
    Tox *tox = tox_new(options, NULL);
    tox_options_free(options);
    if (tox == NULL) {
        fail("tox_new fails", "");
    }
    tox_callback_self_connection_status(tox, on_self);
    tox_callback_friend_connection_status(tox, on_friend);

    uint8_t key[TOX_PUBLIC_KEY_SIZE];
    tox_self_get_dht_id(tox, key);
    printf("port %u\n", tox_self_get_udp_port(tox, NULL));
    print_key("dht", key);
    tox_self_get_public_key(tox, key);
    print_key("real", key);
    for (int i = 1; i < argc; i++) {
        obey(tox, argv[i]);
    }

    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;
    while (poll(&input, 1, 20) == 0 || read(STDIN_FILENO, &byte, 1) > 0) {
        tox_iterate(tox, NULL);
    }
    tox_kill(tox);
    return 0;
}
