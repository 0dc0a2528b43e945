/* Word count: the program of the demonstration, in standard C for any WASI preview-1 host.
 *
 * A word is a longest run of ASCII letters and digits; letters count as lower case. Every other byte
 * separates words, also those of UTF-8 sequences. Counts are 64 bits and stay at the maximum.
 *
 *   wordcount          text          -> one line "word count" a word, sorted by the word's bytes
 *   wordcount reduce   such lines    -> such lines, with the counts of equal words added
 *   wordcount total    such lines    -> "words N" and "distinct M"
 *
 * Reducing is associative: reduced lines may be reduced again. The output depends on the input alone.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    const unsigned char *word;
    size_t len;
    uint64_t count;
};

static struct entry *table; /* open addressing; count 0 marks a free place */
static size_t table_size, table_used;

static void fail(const char *message) {
    fputs(message, stderr);
    fputc('\n', stderr);
    exit(2);
}

static uint64_t add(uint64_t a, uint64_t b) { return a + b < a ? UINT64_MAX : a + b; }

static size_t hash(const unsigned char *word, size_t len) {
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ word[i]) * 16777619u;
    return h;
}

static struct entry *place(struct entry *in, size_t size, const unsigned char *word, size_t len) {
    size_t at = hash(word, len) & (size - 1);
    while (in[at].count && (in[at].len != len || memcmp(in[at].word, word, len)))
        at = (at + 1) & (size - 1);
    return &in[at];
}

static void grow(void) {
    size_t size = table_size ? table_size * 2 : 4096;
    struct entry *bigger = calloc(size, sizeof *bigger);
    if (!bigger)
        fail("out of memory");
    for (size_t i = 0; i < table_size; i++)
        if (table[i].count)
            *place(bigger, size, table[i].word, table[i].len) = table[i];
    free(table);
    table = bigger;
    table_size = size;
}

static void count(const unsigned char *word, size_t len, uint64_t times) {
    if (table_used * 2 >= table_size)
        grow();
    struct entry *entry = place(table, table_size, word, len);
    if (!entry->count) {
        entry->word = word;
        entry->len = len;
        table_used++;
    }
    entry->count = add(entry->count, times);
}

static unsigned char *read_all(size_t *len) {
    size_t room = 1 << 16, used = 0, got;
    unsigned char *text = malloc(room);
    while (text && (got = fread(text + used, 1, room - used, stdin)) > 0) {
        used += got;
        if (used == room)
            text = realloc(text, room *= 2);
    }
    if (!text)
        fail("out of memory");
    *len = used;
    return text;
}

static int is_word(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static void map(unsigned char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] += 'a' - 'A';
    for (size_t i = 0; i < len;) {
        size_t start = i;
        while (i < len && is_word(text[i]))
            i++;
        if (i > start)
            count(text + start, i - start, 1);
        else
            i++;
    }
}

static void read_counts(const unsigned char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        size_t start = i;
        while (i < len && is_word(text[i]))
            i++;
        size_t end = i;
        if (end == start || i >= len || text[i] != ' ')
            fail("a line is not of the form `word count`");
        uint64_t times = 0;
        for (i++; i < len && text[i] != '\n'; i++) {
            unsigned digit = text[i] - '0';
            if (digit > 9)
                fail("a count is not a number");
            times = times > (UINT64_MAX - digit) / 10 ? UINT64_MAX : times * 10 + digit;
        }
        if (i >= len || !times)
            fail("a count is missing");
        i++;
        count(text + start, end - start, times);
    }
}

static int by_word(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    int order = memcmp(a->word, b->word, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static void write_number(uint64_t number) {
    char digits[21];
    size_t at = sizeof digits;
    digits[--at] = '\n';
    do
        digits[--at] = '0' + number % 10;
    while (number /= 10);
    fwrite(digits + at, 1, sizeof digits - at, stdout);
}

static void write_counts(void) {
    size_t used = 0;
    for (size_t i = 0; i < table_size; i++)
        if (table[i].count)
            table[used++] = table[i];
    if (used)
        qsort(table, used, sizeof *table, by_word);
    for (size_t i = 0; i < used; i++) {
        fwrite(table[i].word, 1, table[i].len, stdout);
        fputc(' ', stdout);
        write_number(table[i].count);
    }
}

static void write_total(void) {
    uint64_t words = 0;
    for (size_t i = 0; i < table_size; i++)
        words = add(words, table[i].count);
    fputs("words ", stdout);
    write_number(words);
    fputs("distinct ", stdout);
    write_number(table_used);
}

int main(int argc, char **argv) {
    size_t len;
    unsigned char *text = read_all(&len);
    if (argc < 2) {
        map(text, len);
        write_counts();
    } else if (!strcmp(argv[1], "reduce")) {
        read_counts(text, len);
        write_counts();
    } else if (!strcmp(argv[1], "total")) {
        read_counts(text, len);
        write_total();
    } else {
        fail("usage: wordcount [reduce | total]");
    }
    return fflush(stdout) ? 3 : 0;
}
