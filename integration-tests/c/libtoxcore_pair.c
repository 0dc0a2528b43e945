/* Two peers of Debian's libtoxcore that know each other's long-term keys and nothing else: on
 * 127.0.0.1, IPv4 only, no LAN discovery.
 *
 *   libtoxcore_pair BOOTSTRAP_PORT BOOTSTRAP_KEY SECONDS
 *
 * Both bootstrap from that one node. A line is printed for each change:
 *
 *   MILLISECONDS PEER self|friend none|tcp|udp
 *
 * It ends with code 0 as soon as each sees the other online, and with code 1 after SECONDS.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <tox/tox.h>
#include <unistd.h>

static const char *const STATES[] = {"none", "tcp", "udp"};

static uint64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void parse_key(const char *hex, uint8_t *key) {
    for (int i = 0; i < TOX_PUBLIC_KEY_SIZE; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) {
            fprintf(stderr, "libtoxcore_pair: no key: %s\n", hex);
            exit(2);
        }
        key[i] = (uint8_t)byte;
    }
}

static Tox *start_peer(void) {
    struct Tox_Options *options = tox_options_new(NULL);
    tox_options_set_ipv6_enabled(options, false);
    tox_options_set_local_discovery_enabled(options, false);
    Tox *tox = options == NULL ? NULL : tox_new(options, NULL);
    tox_options_free(options);
    if (tox == NULL) {
        fprintf(stderr, "libtoxcore_pair: no Tox instance\n");
        exit(2);
    }
    return tox;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "libtoxcore_pair: BOOTSTRAP_PORT BOOTSTRAP_KEY SECONDS\n");
        return 2;
    }
    uint8_t node[TOX_PUBLIC_KEY_SIZE];
    parse_key(argv[2], node);
    Tox *peers[2] = {start_peer(), start_peer()};
    uint32_t friends[2];
    for (int i = 0; i < 2; i++) {
        uint8_t other[TOX_PUBLIC_KEY_SIZE];
        tox_self_get_public_key(peers[1 - i], other);
        Tox_Err_Friend_Add added;
        friends[i] = tox_friend_add_norequest(peers[i], other, &added);
        uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
        if (added != TOX_ERR_FRIEND_ADD_OK
            || !tox_bootstrap(peers[i], "127.0.0.1", port, node, NULL)) {
            fprintf(stderr, "libtoxcore_pair: peer %d cannot begin\n", i);
            return 2;
        }
    }
    uint64_t begin = milliseconds();
    uint64_t end = begin + strtoul(argv[3], NULL, 10) * 1000;
    Tox_Connection self[2] = {TOX_CONNECTION_NONE, TOX_CONNECTION_NONE};
    Tox_Connection other[2] = {TOX_CONNECTION_NONE, TOX_CONNECTION_NONE};
    bool met = false;
    while (!met && milliseconds() < end) {
        for (int i = 0; i < 2; i++) {
            tox_iterate(peers[i], NULL);
            unsigned long at = (unsigned long)(milliseconds() - begin);
            Tox_Connection now = tox_self_get_connection_status(peers[i]);
            if (now != self[i]) {
                self[i] = now;
                printf("%lu %d self %s\n", at, i, STATES[now]);
            }
            now = tox_friend_get_connection_status(peers[i], friends[i], NULL);
            if (now != other[i]) {
                other[i] = now;
                printf("%lu %d friend %s\n", at, i, STATES[now]);
            }
        }
        met = other[0] != TOX_CONNECTION_NONE && other[1] != TOX_CONNECTION_NONE;
        fflush(stdout);
        usleep(20000);
    }
    tox_kill(peers[0]);
    tox_kill(peers[1]);
    return met ? 0 : 1;
}
