/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the benchmark: every row on both sides in turns, raw, ours, raw, ours..., each time in a fresh process.
 *
 *     run [-r REPETITIONS] [-g GOALS] [-o RESULTS] DIRECTORY [PATTERN]
 *
 * DIRECTORY has bench-raw and bench-kq; PATTERN picks rows by name, as the shell picks files. A ratio is that of
 * neighbours, ours by the raw one before it, so that a machine that is slow for a while is slow for both; of the
 * ratios the median is told, with its quartiles as the spread. RESULTS gets the same with tabs between.
 *
 * Exit status: 1 if a process failed, because events were wrong, say. A goal that is missed is told, no more.
 */
#include "run.h"

#include <sys/utsname.h>
#include <sys/wait.h>

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 64, METRICS = 4, NAME = 64, LINE = 512 };

/* A goal counts as met within this: so much do medians move between runs. */
static const double TOLERANCE = 1.03;

static int repetitions = 7;
static const char *goals_path = "goals", *results_path;
static char raw_program[4096], kq_program[4096];
static FILE *results;
static int failures;

/* ---- Processes ---------------------------------------------------------------------------------- */

pid_t start(const char *program, const char *row, void (*prepare)(void), FILE **output)
{
    int fds[2];
    if (pipe(fds) == -1)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        if (prepare)
            prepare();
        execl(program, program, row, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    *output = fdopen(fds[0], "r");
    return child;
}

/* What one side said, by metric and repetition. */
struct figures {
    char metric[METRICS][NAME];
    double figure[METRICS][MOST];
    int metrics;
    char skipped[LINE];
};

static void note(struct figures *figures, const char *metric, double figure, int repetition)
{
    int i = 0;
    while (i < figures->metrics && strcmp(figures->metric[i], metric) != 0)
        i++;
    if (i == METRICS)
        return;
    if (i == figures->metrics)
        snprintf(figures->metric[figures->metrics++], NAME, "%s", metric);
    figures->figure[i][repetition] = figure;
}

/* Runs one side once. False: it failed. */
static int run_once(const char *program, const char *row, struct figures *figures, int repetition)
{
    FILE *output;
    pid_t child = start(program, row, NULL, &output);
    char line[LINE];
    int status, said = 0;
    if (child == -1)
        return 0;
    while (fgets(line, sizeof line, output)) {
        char metric[NAME] = "";
        double figure;
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "skip ", 5) == 0)
            snprintf(figures->skipped, LINE, "%s", line + 5);
        else if (sscanf(line, "value %63s %lf", metric, &figure) == 2)
            note(figures, strcmp(metric, ".") == 0 ? "" : metric, figure, repetition);
        else
            continue;
        said = 1;
    }
    fclose(output);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        if (WIFSIGNALED(status))
            fprintf(stderr, "%s %s: %s\n", program, row, strsignal(WTERMSIG(status)));
        return 0;
    }
    return said;
}

/* ---- Figures ------------------------------------------------------------------------------------ */

struct spread {
    double median, low, high;
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct spread spread_of(const double *figures)
{
    double sorted[MOST];
    memcpy(sorted, figures, (size_t)repetitions * sizeof sorted[0]);
    qsort(sorted, (size_t)repetitions, sizeof sorted[0], by_size);
    int last = repetitions - 1;
    double middle = (sorted[last / 2] + sorted[(last + 1) / 2]) / 2;
    return (struct spread){middle, sorted[last / 4], sorted[last - last / 4]};
}

/* ---- Goals -------------------------------------------------------------------------------------- */

/* kind: "ratio", or the unit of a figure that stands alone. */
struct goal {
    char kind[NAME], title[LINE];
    double most; /* negative: no goal */
};

static struct goal goal_of(const char *name)
{
    struct goal goal = {"ratio", "", -1};
    FILE *file = fopen(goals_path, "r");
    char line[LINE];
    if (!file) {
        perror(goals_path);
        exit(2);
    }
    while (fgets(line, sizeof line, file)) {
        char row[NAME], kind[NAME], most[NAME];
        int title = 0;
        if (line[0] == '#' || sscanf(line, "%63s %63s %63s %n", row, kind, most, &title) < 3 || strcmp(row, name) != 0)
            continue;
        strcpy(goal.kind, kind);
        goal.most = strcmp(most, "-") == 0 ? -1 : atof(most);
        line[strcspn(line, "\n")] = 0;
        snprintf(goal.title, LINE, "%s", line + title);
    }
    fclose(file);
    return goal;
}

static const char *verdict_of(const struct goal *goal, double figure, char *text, size_t size)
{
    if (goal->most < 0)
        return "";
    if (figure <= goal->most * TOLERANCE)
        return "met";
    if (goal->most == 0)
        return "missed";
    snprintf(text, size, "missed by %.0f %%", (figure / goal->most - 1) * 100);
    return text;
}

/* ---- The table ---------------------------------------------------------------------------------- */

static const char *number(double value, char *text, size_t size)
{
    if (value < 0)
        return "-";
    snprintf(text, size, value < 10 ? "%.3g" : "%.0f", value);
    return text;
}

/* At most two places, and no more than say something: whole calls are whole. */
static const char *calls(double value, char *text, size_t size)
{
    if (value < 0)
        return "-";
    snprintf(text, size, "%.2f", value);
    if (strcmp(text + strlen(text) - 3, ".00") == 0)
        text[strlen(text) - 3] = 0;
    return text;
}

static void heading(void)
{
    printf("%-32s %6s  %8s %17s %10s %10s %8s %8s  %s\n", "scenario", "goal", "figure", "spread", "raw, ns", "ours, ns",
           "calls", "ours", "");
    if (!results)
        return;
    struct utsname system;
    uname(&system);
    fprintf(results, "# %s %s, %ld CPUs, %d repetitions\n", system.sysname, system.release,
            sysconf(_SC_NPROCESSORS_ONLN), repetitions);
    fprintf(results, "# scenario\tkind\tgoal\tfigure\tlow\thigh\traw\tours\traw calls\tour calls\tverdict\ttitle\n");
}

static void tell(const char *name, struct spread figure, double raw, double ours, double raw_calls, double our_calls)
{
    char texts[7][32], spread[48];
    struct goal goal = goal_of(name);
    const char *verdict = verdict_of(&goal, figure.median, texts[0], sizeof texts[0]);
    int is_ratio = strcmp(goal.kind, "ratio") == 0;
    snprintf(texts[1], sizeof texts[1], is_ratio ? "%.3f" : "%.4g", figure.median);
    snprintf(spread, sizeof spread, is_ratio ? "%.3f - %.3f" : "%.4g - %.4g", figure.low, figure.high);
    if (goal.most < 0)
        strcpy(texts[2], "-");
    else
        snprintf(texts[2], sizeof texts[2], "%g", goal.most);
    const char *raw_text = number(raw, texts[3], sizeof texts[3]);
    const char *our_text = number(ours, texts[4], sizeof texts[4]);
    const char *raw_count = calls(raw_calls, texts[5], sizeof texts[5]);
    const char *our_count = calls(our_calls, texts[6], sizeof texts[6]);
    printf("%-32s %6s  %8s %17s %10s %10s %8s %8s  %s%s%s\n", name, texts[2], texts[1], spread, raw_text, our_text,
           raw_count, our_count, is_ratio ? "" : goal.kind, is_ratio || !*verdict ? "" : ", ", verdict);
    if (results)
        fprintf(results, "%s\t%s\t%s\t%.4g\t%.4g\t%.4g\t%s\t%s\t%s\t%s\t%s\t%s\n", name, goal.kind, texts[2],
                figure.median, figure.low, figure.high, raw_text, our_text, raw_count, our_count, verdict, goal.title);
    fflush(stdout);
}

static void run_row(const char *row, int has_raw)
{
    static const struct figures none;
    static struct figures raw, kq;
    raw = kq = none;
    for (int i = 0; i < repetitions; i++) {
        if ((has_raw && !run_once(raw_program, row, &raw, i)) || !run_once(kq_program, row, &kq, i)) {
            printf("%-32s FAILED\n", row);
            failures++;
            return;
        }
        if (*raw.skipped || *kq.skipped) {
            printf("%-32s skipped: %s\n", row, *raw.skipped ? raw.skipped : kq.skipped);
            return;
        }
    }
    double raw_calls = has_raw ? count_calls(raw_program, row) : -1, our_calls = count_calls(kq_program, row);
    for (int metric = 0; metric < kq.metrics; metric++) {
        char name[2 * NAME];
        double ratios[MOST];
        struct spread ours = spread_of(kq.figure[metric]), theirs = {-1, -1, -1}, figure = ours;
        snprintf(name, sizeof name, "%s%s", row, kq.metric[metric]);
        if (has_raw) {
            for (int i = 0; i < repetitions; i++)
                ratios[i] = kq.figure[metric][i] / raw.figure[metric][i];
            figure = spread_of(ratios);
            theirs = spread_of(raw.figure[metric]);
        }
        tell(name, figure, theirs.median, ours.median, raw_calls, our_calls);
    }
}

/* Rows in the order of the goals, which is the reader's; then any others. */
struct listed {
    char name[NAME];
    int has_raw, done;
};

static struct listed rows[256];
static int row_count;

static void list_rows(void)
{
    FILE *output;
    char side[NAME];
    pid_t child = start(kq_program, "-l", NULL, &output);
    while (row_count < 256 && fscanf(output, "%63s %63s", rows[row_count].name, side) == 2) {
        rows[row_count].has_raw = strcmp(side, "raw") == 0;
        row_count++;
    }
    fclose(output);
    waitpid(child, NULL, 0);
    if (row_count == 0) {
        fprintf(stderr, "%s does not run\n", kq_program);
        exit(2);
    }
}

static int run_listed(struct listed *row, const char *pattern)
{
    int wanted = !row->done && fnmatch(pattern, row->name, 0) == 0;
    row->done = 1;
    if (wanted)
        run_row(row->name, row->has_raw);
    return wanted;
}

static int run_all(const char *pattern)
{
    FILE *file = fopen(goals_path, "r");
    char line[LINE], name[NAME];
    int ran = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (line[0] == '#' || sscanf(line, "%63[^ .]", name) != 1)
            continue;
        for (int i = 0; i < row_count; i++)
            if (strcmp(rows[i].name, name) == 0)
                ran += run_listed(&rows[i], pattern);
    }
    for (int i = 0; i < row_count; i++)
        ran += run_listed(&rows[i], pattern);
    return ran;
}

int main(int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "r:g:o:")) != -1) {
        if (option == 'r')
            repetitions = atoi(optarg);
        else if (option == 'g')
            goals_path = optarg;
        else if (option == 'o')
            results_path = optarg;
        else
            return 2;
    }
    if (optind == argc || repetitions < 1 || repetitions > MOST) {
        fprintf(stderr, "usage: %s [-r REPETITIONS] [-g GOALS] [-o RESULTS] DIRECTORY [PATTERN]\n", argv[0]);
        return 2;
    }
    snprintf(raw_program, sizeof raw_program, "%s/bench-raw", argv[optind]);
    snprintf(kq_program, sizeof kq_program, "%s/bench-kq", argv[optind]);
    if (results_path && !(results = fopen(results_path, "w"))) {
        perror(results_path);
        return 2;
    }
    const char *pattern = optind + 1 < argc && *argv[optind + 1] ? argv[optind + 1] : "*";
    list_rows();
    heading();
    if (run_all(pattern) == 0) {
        fprintf(stderr, "no scenario is called %s\n", pattern);
        return 2;
    }
    if (results)
        fclose(results);
    return failures > 0;
}
