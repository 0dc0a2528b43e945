/* Custom packets: one by one, said again, and as many as the queue takes.
 *
 * A flood is a run of lossless packets of id 191: the id, the packet's number and the number of packets
 * in all (4 bytes each, big-endian), then zeros. Whoever received the last one answers with a lossless
 * packet of id 190: the id and the number of packets that came. So both ends can say how fast it was.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_WAITING = 16384, FLOOD = 191, FLOODED = 190, FLOOD_HEAD = 9 };

/* Packets that libtoxcore's own queue had no room for, in order. */
static struct waiting {
    uint32_t friend_number;
    size_t length;
    uint8_t bytes[TOX_MAX_CUSTOM_PACKET_SIZE];
} *waiting;
static size_t first, count;

static struct {
    bool running;
    uint32_t friend_number;
    uint32_t sent, total;
    size_t size;
    double begun, cpu;
} flood;

/* What comes of a flood. */
static struct {
    uint32_t came;
    uint64_t bytes;
    bool in_order;
    double begun, cpu;
} flooded;

static void put_32(uint8_t *bytes, uint32_t number) {
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

static uint32_t take_32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void send_later(uint32_t friend_number, const uint8_t *bytes, size_t length) {
    if (waiting == NULL) {
        waiting = calloc(MAX_WAITING, sizeof *waiting);
    }
    if (waiting != NULL && count < MAX_WAITING) {
        struct waiting *place = &waiting[(first + count) % MAX_WAITING];
        place->friend_number = friend_number;
        place->length = length;
        memcpy(place->bytes, bytes, length);
        count++;
    }
}

/* Sends what waits, as far as there is room. */
void say_again(struct client *client) {
    while (count > 0) {
        const struct waiting *next = &waiting[first];
        Tox_Err_Friend_Custom_Packet error;
        tox_friend_send_lossless_packet(client->tox, next->friend_number, next->bytes, next->length, &error);
        if (error == TOX_ERR_FRIEND_CUSTOM_PACKET_SENDQ) {
            return;
        }
        first = (first + 1) % MAX_WAITING;
        count--;
        client->active = true;
    }
}

static void report_speed(const char *event, const Tox *tox, uint32_t friend_number, uint32_t packets,
                         uint64_t bytes, double begun, double cpu) {
    double seconds = clock_seconds() - begun;
    double used = cpu_seconds() - cpu;
    report(event);
    put_friend(tox, friend_number);
    put_number("packets", packets);
    put_number("bytes", bytes);
    put_real("seconds", seconds);
    put_real("cpu", used);
    put_real("mb_per_second", (double)bytes / 1e6 / seconds);
}

static void take_flood(Tox *tox, uint32_t friend_number, const uint8_t *bytes, size_t length) {
    uint32_t number = take_32(bytes + 1);
    uint32_t total = take_32(bytes + 5);
    if (number == 0) {
        flooded.came = 0;
        flooded.bytes = 0;
        flooded.in_order = true;
        flooded.begun = clock_seconds();
        flooded.cpu = cpu_seconds();
    }
    flooded.in_order = flooded.in_order && number == flooded.came;
    flooded.came++;
    flooded.bytes += length;
    if (number + 1 == total) {
        uint8_t answer[5] = {FLOODED};
        report_speed("flooded", tox, friend_number, flooded.came, flooded.bytes, flooded.begun, flooded.cpu);
        put_flag("in_order", flooded.in_order);
        report_end();
        put_32(answer + 1, flooded.came);
        send_later(friend_number, answer, sizeof answer);
    }
}

static void end_flood(Tox *tox, uint32_t friend_number, const uint8_t *bytes) {
    if (flood.running && flood.friend_number == friend_number) {
        flood.running = false;
        report_speed("flood", tox, friend_number, flood.total, (uint64_t)flood.size * flood.total,
                     flood.begun, flood.cpu);
        put_number("came", take_32(bytes + 1));
        report_end();
    }
}

static void report_packet(const Tox *tox, uint32_t number, const char *kind, const uint8_t *bytes, size_t length) {
    report("packet");
    put_friend(tox, number);
    put_word("kind", kind);
    put_hex("bytes", bytes, length);
    report_end();
}

static void on_lossless(Tox *tox, uint32_t number, const uint8_t *bytes, size_t length, void *data) {
    struct client *client = data;
    client->active = true;
    if (bytes[0] == FLOOD && length >= FLOOD_HEAD) {
        take_flood(tox, number, bytes, length);
        return;
    }
    if (bytes[0] == FLOODED && length >= 5) {
        end_flood(tox, number, bytes);
        return;
    }
    client->packets++;
    if (!client->quiet) {
        report_packet(tox, number, "lossless", bytes, length);
    }
    if (client->echo) {
        send_later(number, bytes, length);
    }
}

static void on_lossy(Tox *tox, uint32_t number, const uint8_t *bytes, size_t length, void *data) {
    struct client *client = data;
    client->active = true;
    client->packets++;
    if (!client->quiet) {
        report_packet(tox, number, "lossy", bytes, length);
    }
    if (client->echo) {
        tox_friend_send_lossy_packet(tox, number, bytes, length, NULL);
    }
}

void listen_to_packets(Tox *tox) {
    tox_callback_friend_lossless_packet(tox, on_lossless);
    tox_callback_friend_lossy_packet(tox, on_lossy);
}

/* lossless FRIEND HEX */
int send_lossless(struct client *client, char **words) {
    uint8_t bytes[TOX_MAX_CUSTOM_PACKET_SIZE];
    size_t length;
    uint32_t number;
    Tox_Err_Friend_Custom_Packet error;
    if (!friend_of(client, words[0], &number) || !parse_some(words[1], bytes, sizeof bytes, &length)) {
        return NONSENSE;
    }
    tox_friend_send_lossless_packet(client->tox, number, bytes, length, &error);
    return (int)error;
}

/* lossy FRIEND HEX */
int send_lossy(struct client *client, char **words) {
    uint8_t bytes[TOX_MAX_CUSTOM_PACKET_SIZE];
    size_t length;
    uint32_t number;
    Tox_Err_Friend_Custom_Packet error;
    if (!friend_of(client, words[0], &number) || !parse_some(words[1], bytes, sizeof bytes, &length)) {
        return NONSENSE;
    }
    tox_friend_send_lossy_packet(client->tox, number, bytes, length, &error);
    return (int)error;
}

/* flood FRIEND PACKETS BYTES_OF_EACH */
int begin_flood(struct client *client, char **words) {
    uint64_t total;
    uint64_t size;
    if (flood.running || !friend_of(client, words[0], &flood.friend_number)
        || !parse_number(words[1], UINT32_MAX, &total)
        || !parse_number(words[2], TOX_MAX_CUSTOM_PACKET_SIZE, &size) || total == 0 || size < FLOOD_HEAD) {
        return NONSENSE;
    }
    flood.running = true;
    flood.sent = 0;
    flood.total = (uint32_t)total;
    flood.size = size;
    flood.begun = clock_seconds();
    flood.cpu = cpu_seconds();
    return 0;
}

/* Sends of a flood what there is room for. */
void go_on_flooding(struct client *client) {
    uint8_t bytes[TOX_MAX_CUSTOM_PACKET_SIZE] = {FLOOD};
    while (flood.running && flood.sent < flood.total) {
        put_32(bytes + 1, flood.sent);
        put_32(bytes + 5, flood.total);
        Tox_Err_Friend_Custom_Packet error;
        tox_friend_send_lossless_packet(client->tox, flood.friend_number, bytes, flood.size, &error);
        if (error == TOX_ERR_FRIEND_CUSTOM_PACKET_SENDQ) {
            return;
        }
        if (error != TOX_ERR_FRIEND_CUSTOM_PACKET_OK) {
            flood.running = false;
            report("flood-broken");
            put_number("sent", flood.sent);
            put_code("code", (int)error);
            report_end();
            return;
        }
        flood.sent++;
        client->active = true;
    }
}
