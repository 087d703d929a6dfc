/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runner's hold on processes, on Windows: a part of suite.c.
 *
 * A case is a process made of this executable, in a job object, which ends with all that the case has started. Its
 * verdict is a file mapping that both have open.
 */

struct process {
    HANDLE process, job;
};

static struct process processes[JOBS_MAX];
static HANDLE verdict_mappings[JOBS_MAX];

static void pause_ms(long ms);

static void remove_tree(const char *path)
{
    char pattern[PATH_MAX], entry[PATH_MAX * 2];
    WIN32_FIND_DATAA found;
    snprintf(pattern, sizeof pattern, "%s/*", path);
    HANDLE search = FindFirstFileA(pattern, &found);
    if (search != INVALID_HANDLE_VALUE) {
        do {
            if (strcmp(found.cFileName, ".") == 0 || strcmp(found.cFileName, "..") == 0)
                continue;
            snprintf(entry, sizeof entry, "%s/%s", path, found.cFileName);
            SetFileAttributesA(entry, FILE_ATTRIBUTE_NORMAL);
            if (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
                remove_tree(entry);
            else
                DeleteFileA(entry);
        } while (FindNextFileA(search, &found));
        FindClose(search);
    }
    RemoveDirectoryA(path);
}

static void find_program(const char *name)
{
    (void)name;
    GetModuleFileNameA(NULL, program, sizeof program);
}

static void mapping_name(char *name, size_t size, unsigned long runner, int slot)
{
    snprintf(name, size, "Local\\ctests-%lu-%d", runner, slot);
}

/* A scratch directory for the run, and a verdict for each slot. */
static int prepare(void)
{
    char temporary[MAX_PATH];
    GetTempPathA(sizeof temporary, temporary);
    snprintf(home, sizeof home, "%sctests.%lu", temporary, GetCurrentProcessId());
    if (!CreateDirectoryA(home, NULL))
        return -1;
    for (int i = 0; i < JOBS_MAX; i++) {
        char name[64];
        mapping_name(name, sizeof name, GetCurrentProcessId(), i);
        verdict_mappings[i] =
            CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, sizeof(struct verdict), name);
        slots[i].verdict = MapViewOfFile(verdict_mappings[i], FILE_MAP_ALL_ACCESS, 0, 0, sizeof(struct verdict));
        if (!slots[i].verdict)
            return -1;
    }
    return 0;
}

static int start_case(struct running *slot)
{
    char command[PATH_MAX * 2], path[PATH_MAX], scratch[PATH_MAX];
    int index = (int)(slot - slots);
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    STARTUPINFOA startup = {.cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION made;
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
    output_path(path, sizeof path, slot->number);
    scratch_path(scratch, sizeof scratch, slot->number);
    CreateDirectoryA(scratch, NULL);
    startup.hStdInput = CreateFileA("NUL", GENERIC_READ, 0, &inherited, OPEN_EXISTING, 0, NULL);
    startup.hStdOutput = startup.hStdError =
        CreateFileA(path, FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, &inherited,
                    CREATE_ALWAYS, 0, NULL);
    snprintf(command, sizeof command, "\"%s\" -b %s -t %d --case %s.%s %lu:%d", program, backend, time_factor,
             slot->test->suite, slot->test->name, GetCurrentProcessId(), index);
    processes[index].job = CreateJobObjectA(NULL, NULL);
    memset(&limits, 0, sizeof limits);
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    SetInformationJobObject(processes[index].job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    BOOL started = CreateProcessA(NULL, command, NULL, NULL, TRUE, CREATE_SUSPENDED, NULL, scratch, &startup, &made);
    CloseHandle(startup.hStdInput);
    CloseHandle(startup.hStdOutput);
    if (!started)
        return -1;
    AssignProcessToJobObject(processes[index].job, made.hProcess);
    ResumeThread(made.hThread);
    CloseHandle(made.hThread);
    processes[index].process = made.hProcess;
    return (int)made.dwProcessId;
}

static void kill_running(struct running *slot)
{
    struct process *process = &processes[slot - slots];
    TerminateJobObject(process->job, 1);
    TerminateProcess(process->process, 1);
}

static void judge(struct running *slot, int status);

static void reap(void)
{
    for (int i = 0; i < jobs; i++) {
        DWORD code = 0;
        if (slots[i].pid == 0 || WaitForSingleObject(processes[i].process, 0) != WAIT_OBJECT_0)
            continue;
        GetExitCodeProcess(processes[i].process, &code);
        TerminateJobObject(processes[i].job, 1);
        CloseHandle(processes[i].job);
        CloseHandle(processes[i].process);
        judge(&slots[i], (int)code);
    }
}

static void await_children(int64_t left)
{
    HANDLE running[JOBS_MAX];
    DWORD count = 0;
    for (int i = 0; i < jobs; i++)
        if (slots[i].pid)
            running[count++] = processes[i].process;
    WaitForMultipleObjects(count, running, FALSE, (DWORD)(left / MILLISECOND) + 1);
}

/* A status that no case returns: an exception that nobody caught. */
static int is_crash(int status, char *text, size_t size)
{
    if ((unsigned)status < 0xc0000000U)
        return 0;
    snprintf(text, size, "exception %#x", (unsigned)status);
    return 1;
}

static int exit_status(int status)
{
    return status;
}

/* In the process of a case: `place` says where its verdict is. */
static int run_one(struct test *test, const char *place)
{
    char name[64], *end;
    unsigned long runner = strtoul(place, &end, 10);
    mapping_name(name, sizeof name, runner, atoi(end + 1));
    HANDLE mapping = OpenFileMappingA(FILE_MAP_ALL_ACCESS, FALSE, name);
    verdict = mapping ? MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, sizeof *verdict) : NULL;
    if (!verdict)
        return 2;
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    setvbuf(stdout, NULL, _IONBF, 0);
    test->run();
    int expected = RUNNING;
    atomic_compare_exchange_strong(&verdict->state, &expected, FINISHED);
    exit(0);
}
