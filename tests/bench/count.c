/*
 * QEMU plugin: how many instructions a user-mode program executes, and, when asked for, how many loads and stores.
 *
 *     cc -O2 -shared -fPIC -DAPI=1 -o count.so count.c
 *     qemu-aarch64 -plugin count.so,to=OUT[,mark=NUMBER][,memory=on] PROGRAM...
 *
 * OUT gets a line: instructions loads stores (accesses of up to 8 bytes: a vector load is two), as of the end, and one before it for every
 * system call of that number, by which a program shows where parts of its work begin and end. The few functions of the
 * plugin interface that are used are declared here, since Debian packages no header for them. API is the interface's
 * version: 1 up to QEMU 8, 2 from QEMU 9.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGISTERS = 0, READ = 1, WRITE = 2 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, void (*)(unsigned, uint32_t, uint64_t, void *), int, int,
                                             void *);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                                      uint64_t, uint64_t, uint64_t, uint64_t));
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
extern _Bool qemu_plugin_mem_is_store(uint32_t);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);

__attribute__((visibility("default"))) int qemu_plugin_version = API;

static atomic_uint_fast64_t instructions, loads, stores;
static FILE *out;
static int memory;
static int64_t mark = -1;

static void add(atomic_uint_fast64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void executed(unsigned cpu, void *length) {
    (void)cpu;
    add(&instructions, (uintptr_t)length);
}

static void accessed(unsigned cpu, uint32_t info, uint64_t address, void *unused) {
    (void)cpu, (void)address, (void)unused;
    add(qemu_plugin_mem_is_store(info) ? &stores : &loads, 1);
}

/* A block of guest code is translated once and executed often: its length is what each execution adds. */
static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    size_t length = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, NO_REGISTERS, (void *)(uintptr_t)length);
    for (size_t i = 0; memory && i < length; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        qemu_plugin_register_vcpu_mem_cb(insn, accessed, NO_REGISTERS, READ | WRITE, NULL);
    }
}

static void print(void) {
    if (fprintf(out, "%" PRIuFAST64 " %" PRIuFAST64 " %" PRIuFAST64 "\n", instructions, loads, stores) < 0) {
        perror("count");
    }
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f,
                   uint64_t g, uint64_t h) {
    (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == mark) {
        print();
    }
}

static void ended(plugin_id id, void *unused) {
    (void)id, (void)unused;
    print();
    if (fclose(out)) {
        perror("count");
    }
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    const char *path = NULL;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "to=", 3)) {
            path = argv[i] + 3;
        } else if (!strncmp(argv[i], "mark=", 5)) {
            mark = atoll(argv[i] + 5);
        } else if (!strcmp(argv[i], "memory=on")) {
            memory = 1;
        } else {
            fprintf(stderr, "count: unknown argument %s\n", argv[i]);
            return 1;
        }
    }
    if (!path) {
        fprintf(stderr, "count: to= is missing\n");
        return 1;
    }
    out = fopen(path, "w");
    if (!out) {
        perror(path);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
