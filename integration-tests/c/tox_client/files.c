/* File transfers, both ways, many at once. */
#include "client.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TRANSFERS = 1024, MAX_PATH = 4096, MAX_CHUNK = 2048, STEP = 1 << 20 };

struct transfer {
    bool used, sending, paused;
    uint32_t friend_number, file;
    int descriptor;
    uint64_t size, position;
    double begun, cpu;
    char path[MAX_PATH];
};

static struct transfer transfers[MAX_TRANSFERS];

static const char *const CONTROLS[] = {"resume", "pause", "cancel"};
static const char *const KINDS[] = {"data", "avatar"};

static struct transfer *find(uint32_t friend_number, uint32_t file) {
    for (size_t i = 0; i < MAX_TRANSFERS; i++) {
        struct transfer *transfer = &transfers[i];
        if (transfer->used && transfer->friend_number == friend_number && transfer->file == file) {
            return transfer;
        }
    }
    return NULL;
}

/* A fresh entry; NULL when there are too many. */
static struct transfer *begin(uint32_t friend_number, uint32_t file, bool sending, uint64_t size) {
    for (size_t i = 0; i < MAX_TRANSFERS; i++) {
        if (!transfers[i].used) {
            transfers[i] = (struct transfer){.used = true, .sending = sending, .size = size,
                                             .friend_number = friend_number, .file = file,
                                             .descriptor = -1};
            return &transfers[i];
        }
    }
    return NULL;
}

static void end(struct transfer *transfer) {
    if (transfer->descriptor >= 0) {
        close(transfer->descriptor);
    }
    transfer->used = false;
}

static void report_file(const char *event, const Tox *tox, const struct transfer *transfer) {
    report(event);
    put_friend(tox, transfer->friend_number);
    put_number("file", transfer->file);
    put_number("position", transfer->position);
}

static void put_effort(const struct transfer *transfer) {
    put_real("seconds", transfer->begun > 0 ? clock_seconds() - transfer->begun : 0);
    put_real("cpu", transfer->begun > 0 ? cpu_seconds() - transfer->cpu : 0);
}

static bool hash_file(int descriptor, uint64_t length, uint8_t *hash) {
    if (length == 0) {
        return tox_hash(hash, (const uint8_t *)"", 0);
    }
    void *bytes = mmap(NULL, length, PROT_READ, MAP_SHARED, descriptor, 0);
    if (bytes == MAP_FAILED) {
        return false;
    }
    bool good = tox_hash(hash, bytes, length);
    munmap(bytes, length);
    return good;
}

/* Bytes moved: tells the way, and stops where the user wants it. */
static void moved(struct client *client, struct transfer *transfer, uint64_t position) {
    bool step = position / STEP != transfer->position / STEP;
    transfer->position = position;
    if (step) {
        report_file("file-progress", client->tox, transfer);
        report_end();
    }
    client->active = true;
    if (client->pause_at != 0 && position >= client->pause_at && !transfer->paused) {
        transfer->paused = true;
        tox_file_control(client->tox, transfer->friend_number, transfer->file, TOX_FILE_CONTROL_PAUSE, NULL);
        report_file("file-paused", client->tox, transfer);
        report_end();
    }
}

static void begin_clock(struct transfer *transfer) {
    if (transfer->begun <= 0) {
        transfer->begun = clock_seconds();
        transfer->cpu = cpu_seconds();
    }
}

static void on_chunk_request(Tox *tox, uint32_t friend_number, uint32_t file, uint64_t position,
                             size_t length, void *data) {
    uint8_t chunk[MAX_CHUNK];
    struct transfer *transfer = find(friend_number, file);
    if (transfer == NULL || length > sizeof chunk) {
        return;
    }
    begin_clock(transfer);
    if (length == 0) {
        report_file("file-sent", tox, transfer);
        put_effort(transfer);
        report_end();
        end(transfer);
        return;
    }
    ssize_t count = pread(transfer->descriptor, chunk, length, (off_t)position);
    if (count == (ssize_t)length
        && tox_file_send_chunk(tox, friend_number, file, position, chunk, length, NULL)) {
        moved(data, transfer, position + length);
    }
}

static void on_chunk(Tox *tox, uint32_t friend_number, uint32_t file, uint64_t position,
                     const uint8_t *bytes, size_t length, void *data) {
    struct transfer *transfer = find(friend_number, file);
    uint8_t hash[TOX_HASH_LENGTH];
    if (transfer == NULL) {
        return;
    }
    begin_clock(transfer);
    if (length > 0) {
        if (pwrite(transfer->descriptor, bytes, length, (off_t)position) == (ssize_t)length) {
            moved(data, transfer, position + length);
        }
        return;
    }
    report_file("file-received", tox, transfer);
    put_effort(transfer);
    if (hash_file(transfer->descriptor, transfer->position, hash)) {
        put_hex("sha256", hash, sizeof hash);
    }
    put_word("path", transfer->path);
    report_end();
    end(transfer);
}

/* Lets a file come that was offered, from a position on. */
static int take(Tox *tox, struct transfer *transfer, uint64_t position) {
    int flags = O_RDWR | O_CREAT | (position == 0 ? O_TRUNC : 0);
    Tox_Err_File_Seek sought = TOX_ERR_FILE_SEEK_OK;
    Tox_Err_File_Control error;
    if (transfer->descriptor < 0) {
        transfer->descriptor = open(transfer->path, flags, 0600);
    }
    if (transfer->descriptor < 0) {
        return NONSENSE;
    }
    if (position > 0 && !tox_file_seek(tox, transfer->friend_number, transfer->file, position, &sought)) {
        return (int)sought;
    }
    transfer->position = position;
    tox_file_control(tox, transfer->friend_number, transfer->file, TOX_FILE_CONTROL_RESUME, &error);
    return (int)error;
}

static void name_file(struct transfer *transfer, const char *folder, const uint8_t *name, size_t length) {
    snprintf(transfer->path, sizeof transfer->path, "%s/%.*s", folder, (int)length, (const char *)name);
    char *begin_of_name = transfer->path + strlen(folder) + 1;
    if (*begin_of_name == '\0') {
        snprintf(transfer->path, sizeof transfer->path, "%s/unnamed-%u", folder, transfer->file);
    }
    for (char *letter = begin_of_name; *letter != '\0'; letter++) {
        bool hidden = letter == begin_of_name && *letter == '.';
        *letter = *letter == '/' || hidden ? '_' : *letter;
    }
}

static void on_offer(Tox *tox, uint32_t friend_number, uint32_t file, uint32_t kind, uint64_t size,
                     const uint8_t *name, size_t length, void *data) {
    const struct client *client = data;
    uint8_t id[TOX_FILE_ID_LENGTH];
    struct transfer *transfer = begin(friend_number, file, false, size);
    if (transfer == NULL || client->folder == NULL) {
        tox_file_control(tox, friend_number, file, TOX_FILE_CONTROL_CANCEL, NULL);
        if (transfer != NULL) {
            end(transfer);
        }
        return;
    }
    name_file(transfer, client->folder, name, length);
    report_file("file-offered", tox, transfer);
    put_word("kind", kind == TOX_FILE_KIND_AVATAR ? KINDS[1] : KINDS[0]);
    put_number("size", size);
    put_text("name", name, length);
    if (tox_file_get_file_id(tox, friend_number, file, id, NULL)) {
        put_hex("id", id, sizeof id);
    }
    report_end();
    if (client->accept_files) {
        take(tox, transfer, 0);
    }
}

static void on_control(Tox *tox, uint32_t friend_number, uint32_t file, Tox_File_Control control, void *data) {
    (void)data;
    struct transfer *transfer = find(friend_number, file);
    if (transfer == NULL) {
        return;
    }
    report_file("file-control", tox, transfer);
    put_word("control", CONTROLS[control]);
    report_end();
    if (control == TOX_FILE_CONTROL_CANCEL) {
        end(transfer);
    }
}

void listen_to_files(Tox *tox) {
    tox_callback_file_chunk_request(tox, on_chunk_request);
    tox_callback_file_recv(tox, on_offer);
    tox_callback_file_recv_chunk(tox, on_chunk);
    tox_callback_file_recv_control(tox, on_control);
}

/* libtoxcore forgets the transfers of a friend that goes offline, and says nothing. */
void lose_files(const Tox *tox, uint32_t friend_number) {
    for (size_t i = 0; i < MAX_TRANSFERS; i++) {
        if (transfers[i].used && transfers[i].friend_number == friend_number) {
            report_file("file-lost", tox, &transfers[i]);
            report_end();
            end(&transfers[i]);
        }
    }
}

/* file-send FRIEND data|avatar ID|- PATH */
int send_file(struct client *client, char **words) {
    uint32_t friend_number;
    uint8_t id[TOX_FILE_ID_LENGTH];
    bool avatar = strcmp(words[1], KINDS[1]) == 0;
    bool given = strcmp(words[2], "-") != 0;
    struct stat facts;
    if (!friend_of(client, words[0], &friend_number) || (given && !parse_bytes(words[2], id, sizeof id))) {
        return NONSENSE;
    }
    int descriptor = open(words[3], O_RDONLY);
    if (descriptor < 0 || fstat(descriptor, &facts) != 0) {
        return NONSENSE;
    }
    uint64_t size = (uint64_t)facts.st_size;
    /* An avatar's id is its hash, by which a friend knows the one that it has. */
    given = (avatar && !given && hash_file(descriptor, size, id)) || given;
    const char *slash = strrchr(words[3], '/');
    const char *name = slash == NULL ? words[3] : slash + 1;
    Tox_Err_File_Send error;
    uint32_t file = tox_file_send(client->tox, friend_number, avatar ? TOX_FILE_KIND_AVATAR : TOX_FILE_KIND_DATA,
                                  size, given ? id : NULL, (const uint8_t *)name, strlen(name), &error);
    struct transfer *transfer = error == TOX_ERR_FILE_SEND_OK ? begin(friend_number, file, true, size) : NULL;
    if (transfer == NULL) {
        close(descriptor);
        return error == TOX_ERR_FILE_SEND_OK ? NONSENSE : (int)error;
    }
    transfer->descriptor = descriptor;
    made(client, file);
    return 0;
}

static struct transfer *named(const struct client *client, char **words) {
    uint32_t friend_number;
    uint64_t file;
    if (!friend_of(client, words[0], &friend_number) || !parse_number(words[1], UINT32_MAX, &file)) {
        return NULL;
    }
    return find(friend_number, (uint32_t)file);
}

/* file-accept FRIEND FILE POSITION */
int accept_file(struct client *client, char **words) {
    struct transfer *transfer = named(client, words);
    uint64_t position;
    if (transfer == NULL || !parse_number(words[2], UINT64_MAX, &position)) {
        return NONSENSE;
    }
    return take(client->tox, transfer, position);
}

/* file-seek FRIEND FILE POSITION: only before the file is accepted. */
int seek_file(struct client *client, char **words) {
    struct transfer *transfer = named(client, words);
    uint64_t position;
    Tox_Err_File_Seek error;
    if (transfer == NULL || !parse_number(words[2], UINT64_MAX, &position)) {
        return NONSENSE;
    }
    tox_file_seek(client->tox, transfer->friend_number, transfer->file, position, &error);
    return (int)error;
}

/* file-control FRIEND FILE resume|pause|cancel */
int control_file(struct client *client, char **words) {
    struct transfer *transfer = named(client, words);
    Tox_Err_File_Control error;
    if (transfer == NULL) {
        return NONSENSE;
    }
    for (int control = TOX_FILE_CONTROL_RESUME; control <= TOX_FILE_CONTROL_CANCEL; control++) {
        if (strcmp(words[2], CONTROLS[control]) == 0) {
            bool good = tox_file_control(client->tox, transfer->friend_number, transfer->file,
                                         (Tox_File_Control)control, &error);
            if (good && control == TOX_FILE_CONTROL_CANCEL) {
                end(transfer);
            }
            return (int)error;
        }
    }
    return NONSENSE;
}
