/* One client of Debian's libtoxcore that a test drives: commands in on standard input, one a line, and
 * what happens out on standard output, one JSON object a line.
 *
 * Every object has `at` (milliseconds of the machine's monotonic clock, which all processes share) and
 * `event`. Each command is answered, in order, by `done` (with `number`, if the command made something
 * that has one) or by `failed` (with libtoxcore's error `code`; -1 if the command made no sense). Friends
 * are named by their long-term public key. `main.c` lists the options, `commands.c` the commands.
 */
#ifndef TOX_CLIENT_H
#define TOX_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tox/tox.h>

/* What a command that made no sense is answered with. */
enum { NONSENSE = -1 };

/* All that the parts of the program share. libtoxcore hands it to each callback. */
struct client {
    Tox *tox;
    const char *folder;   /* Received files go there. */
    bool accept_friends;  /* Whoever asks becomes a friend. */
    bool accept_files;    /* Whoever offers a file may send it. */
    bool join;            /* Whoever invites into a conference is followed. */
    bool echo;            /* Messages and custom packets are said again to where they came from. */
    bool quiet;           /* Custom packets are counted and not told one by one. */
    bool active;          /* Something moved in this turn: the next one must not wait. */
    bool finished;        /* The program shall end. */
    uint64_t pause_at;    /* A transfer that gets there is paused, once; 0 for never. */
    uint64_t packets;     /* Custom packets that came. */
    uint64_t made;        /* The number of what a command made. */
    bool has_made;
};

/* report.c: one line of output. */
void report(const char *event);
void put_text(const char *name, const void *bytes, size_t length);
void put_word(const char *name, const char *word);
void put_hex(const char *name, const uint8_t *bytes, size_t length);
void put_number(const char *name, uint64_t number);
void put_code(const char *name, int code);
void put_real(const char *name, double number);
void put_flag(const char *name, bool flag);
void put_friend(const Tox *tox, uint32_t number);
void report_end(void);
double clock_seconds(void);
double cpu_seconds(void);

/* hex.c: false unless `text` is exactly `length` bytes, or at most `capacity`. */
bool parse_bytes(const char *text, uint8_t *bytes, size_t length);
bool parse_some(const char *text, uint8_t *bytes, size_t capacity, size_t *length);
bool parse_number(const char *text, uint64_t most, uint64_t *number);
bool parse_port(const char *text, uint16_t *port);

/* commands.c */
void obey(struct client *client, char *line);
void made(struct client *client, uint64_t number);
bool friend_of(const struct client *client, const char *key, uint32_t *number);

/* save.c: savedata in a file, encrypted if there is a password. */
uint8_t *load_save(const char *path, const char *password, size_t *length);
bool store_save(const Tox *tox, const char *path, const char *password);

/* friends.c */
void listen_to_friends(Tox *tox);
int answer_id(struct client *client, char **words);
int answer_friends(struct client *client, char **words);

/* files.c: FRIEND KIND ID|- PATH; FRIEND FILE [POSITION]; FRIEND FILE pause|resume|cancel */
void listen_to_files(Tox *tox);
void lose_files(const Tox *tox, uint32_t friend_number);
int send_file(struct client *client, char **words);
int accept_file(struct client *client, char **words);
int seek_file(struct client *client, char **words);
int control_file(struct client *client, char **words);

/* packets.c */
void listen_to_packets(Tox *tox);
void say_again(struct client *client);
int send_lossless(struct client *client, char **words);
int send_lossy(struct client *client, char **words);
int begin_flood(struct client *client, char **words);
void go_on_flooding(struct client *client);

/* conferences.c */
void listen_to_conferences(Tox *tox);
int new_conference(struct client *client, char **words);
int invite_to_conference(struct client *client, char **words);
int join_conference(struct client *client, char **words);
int leave_conference(struct client *client, char **words);
int say_in_conference(struct client *client, char **words);
int title_conference(struct client *client, char **words);
int answer_peers(struct client *client, char **words);

#endif
