/* Friends: what they do is told. */
#include "client.h"

static const char *const CONNECTIONS[] = {"none", "tcp", "udp"};
static const char *const STATUSES[] = {"none", "away", "busy"};
static const char *const MESSAGES[] = {"normal", "action"};

static void on_self(Tox *tox, Tox_Connection state, void *data) {
    (void)tox;
    (void)data;
    report("self");
    put_word("connection", CONNECTIONS[state]);
    report_end();
}

static void on_connection(Tox *tox, uint32_t number, Tox_Connection state, void *data) {
    (void)data;
    report("friend");
    put_friend(tox, number);
    put_word("connection", CONNECTIONS[state]);
    report_end();
    if (state == TOX_CONNECTION_NONE) {
        lose_files(tox, number);
    }
}

static void on_request(Tox *tox, const uint8_t *key, const uint8_t *text, size_t length, void *data) {
    const struct client *client = data;
    report("request");
    put_hex("friend", key, TOX_PUBLIC_KEY_SIZE);
    put_text("text", text, length);
    report_end();
    if (client->accept_friends) {
        tox_friend_add_norequest(tox, key, NULL);
    }
}

static void on_message(Tox *tox, uint32_t number, Tox_Message_Type type, const uint8_t *text,
                       size_t length, void *data) {
    const struct client *client = data;
    report("message");
    put_friend(tox, number);
    put_word("kind", MESSAGES[type]);
    put_text("text", text, length);
    report_end();
    if (client->echo) {
        tox_friend_send_message(tox, number, type, text, length, NULL);
    }
}

static void on_receipt(Tox *tox, uint32_t number, uint32_t message, void *data) {
    (void)data;
    report("receipt");
    put_friend(tox, number);
    put_number("number", message);
    report_end();
}

static void on_name(Tox *tox, uint32_t number, const uint8_t *text, size_t length, void *data) {
    (void)data;
    report("name");
    put_friend(tox, number);
    put_text("text", text, length);
    report_end();
}

static void on_status_message(Tox *tox, uint32_t number, const uint8_t *text, size_t length, void *data) {
    (void)data;
    report("status-message");
    put_friend(tox, number);
    put_text("text", text, length);
    report_end();
}

static void on_status(Tox *tox, uint32_t number, Tox_User_Status status, void *data) {
    (void)data;
    report("status");
    put_friend(tox, number);
    put_word("status", STATUSES[status]);
    report_end();
}

static void on_typing(Tox *tox, uint32_t number, bool typing, void *data) {
    (void)data;
    report("typing");
    put_friend(tox, number);
    put_flag("typing", typing);
    report_end();
}

void listen_to_friends(Tox *tox) {
    tox_callback_self_connection_status(tox, on_self);
    tox_callback_friend_connection_status(tox, on_connection);
    tox_callback_friend_request(tox, on_request);
    tox_callback_friend_message(tox, on_message);
    tox_callback_friend_read_receipt(tox, on_receipt);
    tox_callback_friend_name(tox, on_name);
    tox_callback_friend_status_message(tox, on_status_message);
    tox_callback_friend_status(tox, on_status);
    tox_callback_friend_typing(tox, on_typing);
}

/* Tells who this is: also the first line of the program. */
int answer_id(struct client *client, char **words) {
    (void)words;
    uint8_t address[TOX_ADDRESS_SIZE];
    uint8_t key[TOX_PUBLIC_KEY_SIZE];
    tox_self_get_address(client->tox, address);
    report("id");
    put_hex("address", address, sizeof address);
    put_hex("key", address, sizeof key);
    tox_self_get_dht_id(client->tox, key);
    put_hex("dht", key, sizeof key);
    put_number("udp", tox_self_get_udp_port(client->tox, NULL));
    put_number("tcp", tox_self_get_tcp_port(client->tox, NULL));
    report_end();
    return 0;
}

static void tell_friend(const Tox *tox, uint32_t number) {
    uint8_t name[TOX_MAX_NAME_LENGTH];
    uint8_t text[TOX_MAX_STATUS_MESSAGE_LENGTH];
    tox_friend_get_name(tox, number, name, NULL);
    tox_friend_get_status_message(tox, number, text, NULL);
    report("friend-listed");
    put_friend(tox, number);
    put_text("name", name, tox_friend_get_name_size(tox, number, NULL));
    put_text("status_message", text, tox_friend_get_status_message_size(tox, number, NULL));
    put_word("status", STATUSES[tox_friend_get_status(tox, number, NULL)]);
    put_word("connection", CONNECTIONS[tox_friend_get_connection_status(tox, number, NULL)]);
    report_end();
}

int answer_friends(struct client *client, char **words) {
    (void)words;
    size_t count = tox_self_get_friend_list_size(client->tox);
    uint32_t friends[count + 1];
    tox_self_get_friend_list(client->tox, friends);
    for (size_t i = 0; i < count; i++) {
        tell_friend(client->tox, friends[i]);
    }
    made(client, count);
    return 0;
}
