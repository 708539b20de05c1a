/*
 * A stand-in for PG-Strom's module: it defines settings by the same names, with the same kinds,
 * contexts and visibility.
 *
 * And it can be put to sleep, as the real one's GPU service is by a reload: while there is a file
 * `pg_strom.asleep` in the data folder, no query is answered that names a table of the tests or the
 * one that strom-load probes with, in any session where pg_strom.enabled is on. A change of
 * pg_strom.max_async_tasks wakes it. A file `pg_strom.dead` does the same, and nothing wakes it.
 * While there is a file `pg_strom.cpu_plans`, the probe is answered all the same, as in the seconds
 * after a reload, when the real one plans without the GPU.
 *
 * It says by hand what the server's headers would say, so that no package of them is needed.
 * Built with -DPG_MAJOR=15 or newer; with -DNO_GPU, as if it had found no GPU; with -DEXTRA, as if
 * the vendor's module were there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct abi { int version, func_max_args, index_max_keys, name_data_len, float8_by_value; char extra[32]; };
#if PG_MAJOR >= 18
struct magic { int len; struct abi abi; const char *name; const char *version; };
#else
struct magic { int len; struct abi abi; };
#endif

const struct magic *Pg_magic_func(void);
const struct magic *Pg_magic_func(void)
{
	static const struct magic magic = {
		sizeof(struct magic),
		{ PG_MAJOR * 100, 100, 32, 64, true, "PostgreSQL" },
	};
	return &magic;
}

enum context { INTERNAL, POSTMASTER, SIGHUP, SU_BACKEND, BACKEND, SUSET, USERSET };
struct choice { const char *name; int value; bool hidden; };

#define HIDDEN 0x0004
#if PG_MAJOR >= 16
#define SUPERUSER_ONLY 0x000400
#define UNIT_KB 0x01000000
#define UNIT_MS 0x10000000
#else
#define SUPERUSER_ONLY 0x0100
#define UNIT_KB 0x1000
#define UNIT_MS 0x10000
#endif

extern void DefineCustomBoolVariable(const char *, const char *, const char *, bool *, bool,
									 enum context, int, void *, void *, void *);
extern void DefineCustomIntVariable(const char *, const char *, const char *, int *, int, int, int,
									enum context, int, void *, void *, void *);
extern void DefineCustomRealVariable(const char *, const char *, const char *, double *, double,
									 double, double, enum context, int, void *, void *, void *);
extern void DefineCustomStringVariable(const char *, const char *, const char *, char **,
									   const char *, enum context, int, void *, void *, void *);
extern void DefineCustomEnumVariable(const char *, const char *, const char *, int *, int,
									 const struct choice *, enum context, int, void *, void *,
									 void *);

static bool *boolean(const char *name, bool value, enum context context, int flags)
{
	static bool values[64];
	static int used;

	values[used] = value;
	DefineCustomBoolVariable(name, "stand-in", NULL, &values[used], value, context, flags,
							 NULL, NULL, NULL);
	return &values[used++];
}

/* How a QueryDesc begins. */
struct query { int operation; void *plan; const char *text; };
typedef void (*run_hook)(struct query *, int, unsigned long, bool);
extern run_hook ExecutorRun_hook;
extern void standard_ExecutorRun(struct query *, int, unsigned long, bool);
extern volatile int InterruptPending;
extern void ProcessInterrupts(void);

static bool *enabled;

/* Everything is relative to the data folder, where every process of the server is. */
static bool sleeps(void)
{
	return access("pg_strom.asleep", F_OK) == 0 || access("pg_strom.dead", F_OK) == 0;
}

static void run(struct query *query, int direction, unsigned long rows, bool once)
{
	const char *text = query->text ? query->text : "";
	bool probe = strstr(text, "FROM pg_catalog.pg_attribute") != NULL;

	if (strstr(text, "l40s_") || (probe && access("pg_strom.cpu_plans", F_OK) != 0))
		while (*enabled && sleeps())
		{
			usleep(20000);
			if (InterruptPending)
				ProcessInterrupts();
		}
	standard_ExecutorRun(query, direction, rows, once);
}

#ifndef NO_GPU
/* The real one keeps it for the whole server, and starts or ends worker threads after a change. */
static void tasks_assign(int value, void *extra)
{
	(void) extra;
	dprintf(2, "stand-in: %d async tasks\n", value);
	if (value != 16)
		unlink("pg_strom.asleep");
}
#endif

void _PG_init(void);
void _PG_init(void)
{
	static const struct choice fallback[] = {
		{"notice", 0, false}, {"on", 1, false}, {"off", 2, false}, {NULL, 0, false}};
	static const struct choice drivers[] = {
#ifdef EXTRA
		{"cufile", 1, false},
#endif
		{"vfs", 0, false}, {NULL, 0, false}};
	static int fallback_value = 2, driver_value, tasks = 16, threshold = 2097152, stack = 32;
	static int segment = 1048576, delay = 5000;
	static double ratio = 0.5;
	static char *policy, *devices;

	boolean("arrow_fdw.enabled", true, USERSET, 0);
	enabled = boolean("pg_strom.enabled", true, USERSET, 0);
	ExecutorRun_hook = run;
	boolean("pg_strom.explain_developer_mode", false, USERSET, 0);
	boolean("pg_strom.enable_select_into_direct", true, USERSET, 0);
	boolean("pg_strom.regression_test_mode", false, USERSET, HIDDEN);
	DefineCustomEnumVariable("pg_strom.cpu_fallback", "stand-in", NULL, &fallback_value, 2,
							 fallback, USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("pg_strom.gpudirect_driver", "stand-in", NULL, &driver_value,
							 drivers[0].value, drivers, POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("pg_strom.cuda_visible_devices", "stand-in", NULL, &devices, NULL,
							   POSTMASTER, 0, NULL, NULL, NULL);
#ifndef NO_GPU
	boolean("pg_strom.enable_gpuscan", true, USERSET, 0);
	boolean("pg_strom.enable_gpusort", true, USERSET, 0);
	boolean("pg_strom.enable_numeric_aggfuncs", true, USERSET, HIDDEN);
	boolean("pg_strom.enable_gpugistindex", false, INTERNAL, 0);
	boolean("pg_strom.gpudirect_enabled", true, USERSET, 0);
	DefineCustomStringVariable("pg_strom.gpu_selection_policy", "stand-in", NULL, &policy,
							   "optimal", SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_strom.gpudirect_threshold", "stand-in", NULL, &threshold, 2097152,
							0, 2147483647, SUSET, UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_strom.max_async_tasks", "stand-in", NULL, &tasks, 16, 1, 256,
							SUSET, SUPERUSER_ONLY, NULL, tasks_assign, NULL);
	DefineCustomIntVariable("pg_strom.cuda_stack_limit", "stand-in", NULL, &stack, 32, 4, 2048,
							POSTMASTER, UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_strom.gpu_mempool_segment_sz", "stand-in", NULL, &segment, 1048576,
							20480, 2147483647, SIGHUP, UNIT_KB | HIDDEN, NULL, NULL, NULL);
	DefineCustomIntVariable("pg_strom.gpu_mempool_release_delay", "stand-in", NULL, &delay, 5000,
							1, 60000, SIGHUP, UNIT_MS | HIDDEN, NULL, NULL, NULL);
	DefineCustomRealVariable("pg_strom.gpu_mempool_max_ratio", "stand-in", NULL, &ratio, 0.5, 0.2,
							 0.8, SIGHUP, HIDDEN, NULL, NULL, NULL);
#endif
}
