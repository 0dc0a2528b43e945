/* Conferences: Tox's first kind of group chat. */
#include "client.h"

#include <string.h>

enum { MAX_COOKIE = 1024 };

static const char *const MESSAGES[] = {"normal", "action"};

static void report_conference(const char *event, uint32_t conference) {
    report(event);
    put_number("conference", conference);
}

static void put_peer(const Tox *tox, uint32_t conference, uint32_t peer) {
    uint8_t key[TOX_PUBLIC_KEY_SIZE];
    uint8_t name[TOX_MAX_NAME_LENGTH];
    Tox_Err_Conference_Peer_Query error;
    put_number("peer", peer);
    if (tox_conference_peer_get_public_key(tox, conference, peer, key, &error)) {
        put_hex("key", key, sizeof key);
    }
    size_t length = tox_conference_peer_get_name_size(tox, conference, peer, &error);
    if (error == TOX_ERR_CONFERENCE_PEER_QUERY_OK
        && tox_conference_peer_get_name(tox, conference, peer, name, &error)) {
        put_text("name", name, length);
    }
    put_flag("ours", tox_conference_peer_number_is_ours(tox, conference, peer, &error));
}

static void on_invite(Tox *tox, uint32_t friend_number, Tox_Conference_Type type, const uint8_t *cookie,
                      size_t length, void *data) {
    const struct client *client = data;
    report("conference-invited");
    put_friend(tox, friend_number);
    put_word("kind", type == TOX_CONFERENCE_TYPE_TEXT ? "text" : "av");
    put_hex("cookie", cookie, length);
    report_end();
    if (client->join && type == TOX_CONFERENCE_TYPE_TEXT) {
        Tox_Err_Conference_Join error;
        uint32_t conference = tox_conference_join(tox, friend_number, cookie, length, &error);
        report_conference("conference-joined", conference);
        put_code("code", (int)error);
        report_end();
    }
}

static void on_connected(Tox *tox, uint32_t conference, void *data) {
    (void)tox;
    (void)data;
    report_conference("conference-connected", conference);
    report_end();
}

static void on_message(Tox *tox, uint32_t conference, uint32_t peer, Tox_Message_Type type,
                       const uint8_t *text, size_t length, void *data) {
    (void)data;
    report_conference("conference-message", conference);
    put_peer(tox, conference, peer);
    put_word("kind", MESSAGES[type]);
    put_text("text", text, length);
    report_end();
}

/* `peer` is no peer's number when the title comes with the invitation. */
static void on_title(Tox *tox, uint32_t conference, uint32_t peer, const uint8_t *text, size_t length, void *data) {
    (void)data;
    report_conference("conference-title", conference);
    put_peer(tox, conference, peer);
    put_text("text", text, length);
    report_end();
}

static void on_peer_name(Tox *tox, uint32_t conference, uint32_t peer, const uint8_t *name, size_t length,
                         void *data) {
    (void)name;
    (void)length;
    (void)data;
    report_conference("conference-peer-name", conference);
    put_peer(tox, conference, peer);
    report_end();
}

static void on_peers(Tox *tox, uint32_t conference, void *data) {
    (void)data;
    report_conference("conference-peers", conference);
    put_number("peers", tox_conference_peer_count(tox, conference, NULL));
    report_end();
}

void listen_to_conferences(Tox *tox) {
    tox_callback_conference_invite(tox, on_invite);
    tox_callback_conference_connected(tox, on_connected);
    tox_callback_conference_message(tox, on_message);
    tox_callback_conference_title(tox, on_title);
    tox_callback_conference_peer_name(tox, on_peer_name);
    tox_callback_conference_peer_list_changed(tox, on_peers);
}

static bool conference_of(const char *word, uint32_t *conference) {
    uint64_t number;
    if (!parse_number(word, UINT32_MAX, &number)) {
        return false;
    }
    *conference = (uint32_t)number;
    return true;
}

int new_conference(struct client *client, char **words) {
    (void)words;
    Tox_Err_Conference_New error;
    made(client, tox_conference_new(client->tox, &error));
    return (int)error;
}

/* conference-invite FRIEND CONFERENCE */
int invite_to_conference(struct client *client, char **words) {
    uint32_t friend_number;
    uint32_t conference;
    Tox_Err_Conference_Invite error;
    if (!friend_of(client, words[0], &friend_number) || !conference_of(words[1], &conference)) {
        return NONSENSE;
    }
    tox_conference_invite(client->tox, friend_number, conference, &error);
    return (int)error;
}

/* conference-join FRIEND COOKIE */
int join_conference(struct client *client, char **words) {
    uint32_t friend_number;
    uint8_t cookie[MAX_COOKIE];
    size_t length;
    Tox_Err_Conference_Join error;
    if (!friend_of(client, words[0], &friend_number) || !parse_some(words[1], cookie, sizeof cookie, &length)) {
        return NONSENSE;
    }
    made(client, tox_conference_join(client->tox, friend_number, cookie, length, &error));
    return (int)error;
}

/* conference-leave CONFERENCE */
int leave_conference(struct client *client, char **words) {
    uint32_t conference;
    Tox_Err_Conference_Delete error;
    if (!conference_of(words[0], &conference)) {
        return NONSENSE;
    }
    tox_conference_delete(client->tox, conference, &error);
    return (int)error;
}

/* conference-say CONFERENCE normal|action TEXT */
int say_in_conference(struct client *client, char **words) {
    uint32_t conference;
    Tox_Err_Conference_Send_Message error;
    bool action = strcmp(words[1], MESSAGES[1]) == 0;
    if (!conference_of(words[0], &conference)) {
        return NONSENSE;
    }
    tox_conference_send_message(client->tox, conference,
                                action ? TOX_MESSAGE_TYPE_ACTION : TOX_MESSAGE_TYPE_NORMAL,
                                (const uint8_t *)words[2], strlen(words[2]), &error);
    return (int)error;
}

/* conference-title CONFERENCE TEXT */
int title_conference(struct client *client, char **words) {
    uint32_t conference;
    Tox_Err_Conference_Title error;
    if (!conference_of(words[0], &conference)) {
        return NONSENSE;
    }
    tox_conference_set_title(client->tox, conference, (const uint8_t *)words[1], strlen(words[1]), &error);
    return (int)error;
}

/* conference-peers CONFERENCE: a line for each peer, then how many there are. */
int answer_peers(struct client *client, char **words) {
    uint32_t conference;
    Tox_Err_Conference_Peer_Query error;
    if (!conference_of(words[0], &conference)) {
        return NONSENSE;
    }
    uint32_t count = tox_conference_peer_count(client->tox, conference, &error);
    for (uint32_t peer = 0; error == TOX_ERR_CONFERENCE_PEER_QUERY_OK && peer < count; peer++) {
        report_conference("conference-peer", conference);
        put_peer(client->tox, conference, peer);
        report_end();
    }
    made(client, count);
    return (int)error;
}
