/* The program: options, and the loop that libtoxcore wants. See client.h.
 *
 *   --no-udp, --no-ipv6, --no-lan, --no-hole-punching
 *   --port PORT          the UDP port, and no other; libtoxcore's range without it
 *   --tcp-port PORT      be a TCP relay there
 *   --proxy KIND:HOST:PORT   KIND is socks5 or http
 *   --load PATH          begin with this savedata
 *   --password TEXT      with which it is encrypted
 *   --folder PATH        where received files go; without it, offered files are refused
 *   --accept-friends, --accept-files, --join, --echo, --quiet    see struct client
 *   --busy               never wait longer than a millisecond
 *   --log                libtoxcore's own log on standard error
 *
 * The program ends with its standard input, and before that on `quit`.
 */
#include "client.h"

#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LINE = 8192, MAX_HOST = 256 };

struct settings {
    struct Tox_Options *options;
    char host[MAX_HOST];
    const char *load;
    const char *password;
    bool busy;
};

static void fail(const char *what, const char *argument) {
    fprintf(stderr, "tox_client: %s: %s\n", what, argument);
    exit(2);
}

static void on_log(Tox *tox, Tox_Log_Level level, const char *file, uint32_t line, const char *function,
                   const char *text, void *data) {
    (void)tox;
    (void)data;
    fprintf(stderr, "%d %s:%u %s: %s\n", (int)level, file, line, function, text);
}

static uint16_t port(const char *text) {
    uint16_t number;
    if (!parse_port(text, &number)) {
        fail("no port", text);
    }
    return number;
}

static void set_proxy(struct settings *settings, const char *text) {
    const char *host = strchr(text, ':');
    const char *number = strrchr(text, ':');
    bool socks = strncmp(text, "socks5:", 7) == 0;
    if (host == NULL || number <= host || number - host > MAX_HOST || (!socks && strncmp(text, "http:", 5) != 0)) {
        fail("no proxy", text);
    }
    memcpy(settings->host, host + 1, (size_t)(number - host - 1));
    tox_options_set_proxy_type(settings->options, socks ? TOX_PROXY_TYPE_SOCKS5 : TOX_PROXY_TYPE_HTTP);
    tox_options_set_proxy_host(settings->options, settings->host);
    tox_options_set_proxy_port(settings->options, port(number + 1));
}

enum option_name {
    NO_UDP, NO_IPV6, NO_LAN, NO_PUNCHING, PORT, TCP_PORT, PROXY, LOAD, PASSWORD, FOLDER,
    ACCEPT_FRIENDS, ACCEPT_FILES, JOIN, ECHO_BACK, QUIET, BUSY, LOG,
};

static const struct option OPTIONS[] = {
    {"no-udp", no_argument, NULL, NO_UDP},
    {"no-ipv6", no_argument, NULL, NO_IPV6},
    {"no-lan", no_argument, NULL, NO_LAN},
    {"no-hole-punching", no_argument, NULL, NO_PUNCHING},
    {"port", required_argument, NULL, PORT},
    {"tcp-port", required_argument, NULL, TCP_PORT},
    {"proxy", required_argument, NULL, PROXY},
    {"load", required_argument, NULL, LOAD},
    {"password", required_argument, NULL, PASSWORD},
    {"folder", required_argument, NULL, FOLDER},
    {"accept-friends", no_argument, NULL, ACCEPT_FRIENDS},
    {"accept-files", no_argument, NULL, ACCEPT_FILES},
    {"join", no_argument, NULL, JOIN},
    {"echo", no_argument, NULL, ECHO_BACK},
    {"quiet", no_argument, NULL, QUIET},
    {"busy", no_argument, NULL, BUSY},
    {"log", no_argument, NULL, LOG},
    {NULL, 0, NULL, 0},
};

static void set_behaviour(struct client *client, struct settings *settings, enum option_name name) {
    switch (name) {
        case FOLDER: client->folder = optarg; break;
        case ACCEPT_FRIENDS: client->accept_friends = true; break;
        case ACCEPT_FILES: client->accept_files = true; break;
        case JOIN: client->join = true; break;
        case ECHO_BACK: client->echo = true; break;
        case QUIET: client->quiet = true; break;
        case BUSY: settings->busy = true; break;
        case LOAD: settings->load = optarg; break;
        case PASSWORD: settings->password = optarg; break;
        default: fail("unknown option", "see main.c");
    }
}

static void set_network(struct client *client, struct settings *settings, enum option_name name) {
    struct Tox_Options *options = settings->options;
    switch (name) {
        case NO_UDP: tox_options_set_udp_enabled(options, false); break;
        case NO_IPV6: tox_options_set_ipv6_enabled(options, false); break;
        case NO_LAN: tox_options_set_local_discovery_enabled(options, false); break;
        case NO_PUNCHING: tox_options_set_hole_punching_enabled(options, false); break;
        case PORT:
            tox_options_set_start_port(options, port(optarg));
            tox_options_set_end_port(options, port(optarg));
            break;
        case TCP_PORT: tox_options_set_tcp_port(options, port(optarg)); break;
        case PROXY: set_proxy(settings, optarg); break;
        case LOG: tox_options_set_log_callback(options, on_log); break;
        default: set_behaviour(client, settings, name);
    }
}

static Tox *start(struct settings *settings) {
    uint8_t *save = NULL;
    if (settings->load != NULL) {
        size_t length;
        save = load_save(settings->load, settings->password, &length);
        if (save == NULL) {
            fail("cannot load", settings->load);
        }
        tox_options_set_savedata_type(settings->options, TOX_SAVEDATA_TYPE_TOX_SAVE);
        tox_options_set_savedata_data(settings->options, save, length);
    }
    Tox_Err_New error;
    Tox *tox = tox_new(settings->options, &error);
    if (tox == NULL) {
        fprintf(stderr, "tox_client: tox_new fails with %d\n", (int)error);
        exit(1);
    }
    tox_options_free(settings->options);
    free(save);
    return tox;
}

/* Takes in what stands on standard input, and obeys the lines that are whole. */
static void read_commands(struct client *client) {
    static char buffer[MAX_LINE];
    static size_t filled;
    ssize_t count = read(STDIN_FILENO, buffer + filled, sizeof buffer - filled);
    if (count <= 0) {
        client->finished = true;
        return;
    }
    filled += (size_t)count;
    char *end;
    while ((end = memchr(buffer, '\n', filled)) != NULL) {
        *end = '\0';
        obey(client, buffer);
        filled -= (size_t)(end + 1 - buffer);
        memmove(buffer, end + 1, filled);
    }
    if (filled == sizeof buffer) {
        fail("a line is too long", "standard input");
    }
}

static void run(struct client *client, bool busy) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!client->finished) {
        client->active = false;
        tox_iterate(client->tox, client);
        say_again(client);
        go_on_flooding(client);
        int wait = (int)tox_iteration_interval(client->tox);
        if (busy) {
            wait = client->active ? 0 : 1;
        }
        if (poll(&input, 1, wait) > 0) {
            read_commands(client);
        }
    }
}

int main(int argc, char **argv) {
    struct client client = {0};
    struct settings settings = {.options = tox_options_new(NULL)};
    int name;
    if (settings.options == NULL) {
        fail("no options", "memory");
    }
    while ((name = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        set_network(&client, &settings, (enum option_name)name);
    }
    if (optind != argc) {
        fail("unknown argument", argv[optind]);
    }
    client.tox = start(&settings);
    listen_to_friends(client.tox);
    listen_to_files(client.tox);
    listen_to_packets(client.tox);
    listen_to_conferences(client.tox);
    answer_id(&client, NULL);
    run(&client, settings.busy);
    tox_kill(client.tox);
    return 0;
}
