/* The commands that a line of standard input can be. The last word of a command takes the rest of the
 * line, spaces and all. */
#include "client.h"

#include <string.h>

enum { MAX_WORDS = 4 };

/* What a command made has this number: the answer tells it. */
void made(struct client *client, uint64_t number) {
    client->made = number;
    client->has_made = true;
}

bool friend_of(const struct client *client, const char *key, uint32_t *number) {
    uint8_t bytes[TOX_PUBLIC_KEY_SIZE];
    Tox_Err_Friend_By_Public_Key error;
    if (!parse_bytes(key, bytes, sizeof bytes)) {
        return false;
    }
    *number = tox_friend_by_public_key(client->tox, bytes, &error);
    return error == TOX_ERR_FRIEND_BY_PUBLIC_KEY_OK;
}

static int bootstrap(struct client *client, char **words) {
    uint8_t key[TOX_PUBLIC_KEY_SIZE];
    uint16_t port;
    Tox_Err_Bootstrap error;
    if (!parse_port(words[1], &port) || !parse_bytes(words[2], key, sizeof key)) {
        return NONSENSE;
    }
    tox_bootstrap(client->tox, words[0], port, key, &error);
    return (int)error;
}

static int add_relay(struct client *client, char **words) {
    uint8_t key[TOX_PUBLIC_KEY_SIZE];
    uint16_t port;
    Tox_Err_Bootstrap error;
    if (!parse_port(words[1], &port) || !parse_bytes(words[2], key, sizeof key)) {
        return NONSENSE;
    }
    tox_add_tcp_relay(client->tox, words[0], port, key, &error);
    return (int)error;
}

static int add(struct client *client, char **words) {
    uint8_t address[TOX_ADDRESS_SIZE];
    Tox_Err_Friend_Add error;
    if (!parse_bytes(words[0], address, sizeof address)) {
        return NONSENSE;
    }
    tox_friend_add(client->tox, address, (const uint8_t *)words[1], strlen(words[1]), &error);
    return (int)error;
}

static int accept_friend(struct client *client, char **words) {
    uint8_t key[TOX_PUBLIC_KEY_SIZE];
    Tox_Err_Friend_Add error;
    if (!parse_bytes(words[0], key, sizeof key)) {
        return NONSENSE;
    }
    tox_friend_add_norequest(client->tox, key, &error);
    return (int)error;
}

static int delete_friend(struct client *client, char **words) {
    uint32_t number;
    Tox_Err_Friend_Delete error;
    if (!friend_of(client, words[0], &number)) {
        return NONSENSE;
    }
    lose_files(client->tox, number);
    tox_friend_delete(client->tox, number, &error);
    return (int)error;
}

static int set_name(struct client *client, char **words) {
    Tox_Err_Set_Info error;
    tox_self_set_name(client->tox, (const uint8_t *)words[0], strlen(words[0]), &error);
    return (int)error;
}

static int set_status_message(struct client *client, char **words) {
    Tox_Err_Set_Info error;
    tox_self_set_status_message(client->tox, (const uint8_t *)words[0], strlen(words[0]), &error);
    return (int)error;
}

static int set_status(struct client *client, char **words) {
    static const char *const STATUSES[] = {"none", "away", "busy"};
    for (int status = TOX_USER_STATUS_NONE; status <= TOX_USER_STATUS_BUSY; status++) {
        if (strcmp(words[0], STATUSES[status]) == 0) {
            tox_self_set_status(client->tox, (Tox_User_Status)status);
            return 0;
        }
    }
    return NONSENSE;
}

static int set_typing(struct client *client, char **words) {
    uint32_t number;
    Tox_Err_Set_Typing error;
    if (!friend_of(client, words[0], &number)) {
        return NONSENSE;
    }
    tox_self_set_typing(client->tox, number, strcmp(words[1], "on") == 0, &error);
    return (int)error;
}

static int set_nospam(struct client *client, char **words) {
    uint8_t bytes[TOX_NOSPAM_SIZE];
    if (!parse_bytes(words[0], bytes, sizeof bytes)) {
        return NONSENSE;
    }
    tox_self_set_nospam(client->tox, (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16
                                         | (uint32_t)bytes[2] << 8 | bytes[3]);
    return 0;
}

static int say(struct client *client, char **words, Tox_Message_Type type) {
    uint32_t number;
    Tox_Err_Friend_Send_Message error;
    if (!friend_of(client, words[0], &number)) {
        return NONSENSE;
    }
    made(client, tox_friend_send_message(client->tox, number, type, (const uint8_t *)words[1],
                                         strlen(words[1]), &error));
    return (int)error;
}

static int message(struct client *client, char **words) {
    return say(client, words, TOX_MESSAGE_TYPE_NORMAL);
}

static int action(struct client *client, char **words) {
    return say(client, words, TOX_MESSAGE_TYPE_ACTION);
}

static int pause_at(struct client *client, char **words) {
    return parse_number(words[0], UINT64_MAX, &client->pause_at) ? 0 : NONSENSE;
}

static int set_echo(struct client *client, char **words) {
    client->echo = strcmp(words[0], "on") == 0;
    return 0;
}

static int save(struct client *client, char **words) {
    return store_save(client->tox, words[0], NULL) ? 0 : NONSENSE;
}

static int save_sealed(struct client *client, char **words) {
    return store_save(client->tox, words[1], words[0]) ? 0 : NONSENSE;
}

/* What was used and counted until now. */
static int answer_usage(struct client *client, char **words) {
    (void)words;
    report("usage");
    put_real("cpu", cpu_seconds());
    put_number("packets", client->packets);
    report_end();
    return 0;
}

static int quit(struct client *client, char **words) {
    (void)words;
    client->finished = true;
    return 0;
}

static const struct {
    const char *verb;
    int words;
    int (*obey)(struct client *client, char **words);
} COMMANDS[] = {
    {"bootstrap", 3, bootstrap},           /* HOST PORT KEY */
    {"relay", 3, add_relay},               /* HOST PORT KEY */
    {"id", 0, answer_id},                  /* answered by `id` */
    {"add", 2, add},                       /* TOX_ID TEXT */
    {"norequest", 1, accept_friend},       /* FRIEND */
    {"accept", 1, accept_friend},          /* FRIEND, who asked before */
    {"delete", 1, delete_friend},          /* FRIEND */
    {"friends", 0, answer_friends},        /* answered by `friend-listed`, one for each */
    {"nospam", 1, set_nospam},             /* HEX of 4 bytes */
    {"name", 1, set_name},                 /* TEXT */
    {"status-message", 1, set_status_message}, /* TEXT */
    {"status", 1, set_status},             /* none|away|busy */
    {"typing", 2, set_typing},             /* FRIEND on|off */
    {"message", 2, message},               /* FRIEND TEXT */
    {"action", 2, action},                 /* FRIEND TEXT */
    {"file-send", 4, send_file},           /* FRIEND data|avatar ID|- PATH */
    {"file-accept", 3, accept_file},       /* FRIEND FILE POSITION */
    {"file-seek", 3, seek_file},           /* FRIEND FILE POSITION */
    {"file-control", 3, control_file},     /* FRIEND FILE resume|pause|cancel */
    {"pause-at", 1, pause_at},             /* BYTES: each later transfer pauses there once; 0: never */
    {"lossless", 2, send_lossless},        /* FRIEND HEX */
    {"lossy", 2, send_lossy},              /* FRIEND HEX */
    {"echo", 1, set_echo},                 /* on|off */
    {"flood", 3, begin_flood},             /* FRIEND PACKETS BYTES: ends with `flood`, there `flooded` */
    {"conference-new", 0, new_conference},
    {"conference-invite", 2, invite_to_conference}, /* FRIEND CONFERENCE */
    {"conference-join", 2, join_conference},        /* FRIEND COOKIE */
    {"conference-leave", 1, leave_conference},      /* CONFERENCE */
    {"conference-say", 3, say_in_conference},       /* CONFERENCE normal|action TEXT */
    {"conference-title", 2, title_conference},      /* CONFERENCE TEXT */
    {"conference-peers", 1, answer_peers},          /* CONFERENCE; answered by `conference-peer`s */
    {"save", 1, save},                     /* PATH */
    {"save-sealed", 2, save_sealed},       /* PASSWORD PATH */
    {"usage", 0, answer_usage},
    {"quit", 0, quit},
};

/* Cuts a line into at most `most` words, of which the last takes the rest; how many there were. */
static int cut(char *line, char **words, int most) {
    int count = 0;
    while (count < most && line != NULL && *line != '\0') {
        words[count++] = line;
        line = count == most ? NULL : strchr(line, ' ');
        if (line != NULL) {
            *line++ = '\0';
        }
    }
    return count;
}

static void answer(const struct client *client, const char *verb, int code) {
    report(code == 0 ? "done" : "failed");
    put_word("command", verb);
    if (code != 0) {
        put_code("code", code);
    } else if (client->has_made) {
        put_number("number", client->made);
    }
    report_end();
}

void obey(struct client *client, char *line) {
    char *words[MAX_WORDS];
    char *parts[2] = {line, NULL};
    int code = NONSENSE;
    if (cut(line, parts, 2) == 0) {
        return;
    }
    client->has_made = false;
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        if (strcmp(COMMANDS[i].verb, parts[0]) == 0) {
            if (cut(parts[1], words, COMMANDS[i].words) == COMMANDS[i].words) {
                code = COMMANDS[i].obey(client, words);
            }
            break;
        }
    }
    answer(client, parts[0], code);
}
