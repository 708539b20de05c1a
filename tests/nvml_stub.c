/* A fake of NVIDIA's management library, for machines without a GPU. The tests compile it.
 *
 * When it is compiled:
 *   -DBARE       nothing but what it takes to open GPUs, and their utilisation
 *   -DNO_DRIVER  nvmlInit fails as it does without the kernel module
 *   -DNO_GPU     a driver without GPUs
 * When it runs, from the environment:
 *   NVML_STUB_PID         a process with a context on GPU 0, beside one that is not visible
 *   NVML_STUB_LOST_AFTER  GPU 1 is lost after so many questions for its utilisation
 *
 * GPU 0 answers everything. GPU 1 has no energy counter and no ECC. Each fourth question for
 * utilisation finds them busy. Signatures and numbers are those of nvml.h. */

#include <stdlib.h>
#include <string.h>

enum {
    SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15
};

typedef struct { unsigned number, asked; } gpu_t;
static gpu_t gpus[2] = { { 0, 0 }, { 1, 0 } };

static unsigned long number_of(const char *name) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : 0;
}

static int is_lost(const gpu_t *gpu) {
    unsigned long after = number_of("NVML_STUB_LOST_AFTER");
    return gpu->number == 1 && after != 0 && gpu->asked > after;
}

#define ASK(gpu) do { if (is_lost(gpu)) return GPU_IS_LOST; } while (0)

int nvmlInit_v2(void) {
#ifdef NO_DRIVER
    return DRIVER_NOT_LOADED;
#else
    return SUCCESS;
#endif
}

int nvmlShutdown(void) { return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned *count) {
#ifdef NO_GPU
    *count = 0;
#else
    *count = 2;
#endif
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu_t **gpu) {
    if (index > 1) return INVALID_ARGUMENT;
    *gpu = &gpus[index];
    return SUCCESS;
}

typedef struct { unsigned gpu, memory; } utilization_t;

int nvmlDeviceGetUtilizationRates(gpu_t *gpu, utilization_t *rates) {
    gpu->asked++;
    ASK(gpu);
    int busy = gpu->asked % 4 == 0;
    rates->gpu = busy ? 60 + 20 * gpu->number : 0;
    rates->memory = busy ? 10 : 0;
    return SUCCESS;
}

#ifndef BARE

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    strncpy(version, "580.95.05", length);
    return SUCCESS;
}

int nvmlDeviceGetName(gpu_t *gpu, char *name, unsigned length) {
    ASK(gpu);
    strncpy(name, gpu->number == 0 ? "Stub H100 80GB" : "Stub T4", length);
    return SUCCESS;
}

int nvmlDeviceGetUUID(gpu_t *gpu, char *uuid, unsigned length) {
    ASK(gpu);
    strncpy(uuid, gpu->number == 0 ? "GPU-00000000-stub" : "GPU-11111111-stub", length);
    return SUCCESS;
}

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
} pci_t;

int nvmlDeviceGetPciInfo_v3(gpu_t *gpu, pci_t *pci) {
    ASK(gpu);
    memset(pci, 0, sizeof *pci);
    strcpy(pci->bus_id, gpu->number == 0 ? "00000000:01:00.0" : "00000000:02:00.0");
    return SUCCESS;
}

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_t;

int nvmlDeviceGetMemoryInfo_v2(gpu_t *gpu, memory_t *memory) {
    ASK(gpu);
    memory->total = gpu->number == 0 ? 80ULL << 30 : 16ULL << 30;
    memory->used = 2ULL << 30;
    memory->reserved = 1ULL << 29;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(gpu_t *gpu, int sensor, unsigned *celsius) {
    ASK(gpu);
    *celsius = sensor == 0 ? 41 + gpu->number : 0;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(gpu_t *gpu, unsigned *milliwatts) {
    ASK(gpu);
    *milliwatts = gpu->number == 0 ? 120500 : 30000;
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(gpu_t *gpu, unsigned long long *millijoules) {
    if (gpu->number == 1) return NOT_SUPPORTED;
    *millijoules = 7000000ULL + 5000ULL * gpu->asked;
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(gpu_t *gpu, int clock, unsigned *megahertz) {
    ASK(gpu);
    *megahertz = clock == 1 ? 1980 : clock == 2 ? 2619 : 0;
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(gpu_t *gpu, unsigned long long *reasons) {
    ASK(gpu);
    *reasons = gpu->number == 0 ? 0x4 : 0x1;
    return SUCCESS;
}

int nvmlDeviceGetPcieThroughput(gpu_t *gpu, int direction, unsigned *kilobytes_per_s) {
    ASK(gpu);
    *kilobytes_per_s = direction == 0 ? 1000 : 250000;
    return SUCCESS;
}

int nvmlDeviceGetTotalEccErrors(gpu_t *gpu, int kind, int counter, unsigned long long *errors) {
    (void)counter;
    if (gpu->number == 1) return NOT_SUPPORTED;
    *errors = kind == 0 ? 3 : 0;
    return SUCCESS;
}

typedef struct {
    unsigned pid;
    unsigned long long memory;
    unsigned gpu_instance, compute_instance;
} process_t;

int nvmlDeviceGetComputeRunningProcesses_v3(gpu_t *gpu, unsigned *count, process_t *processes) {
    ASK(gpu);
    unsigned pid = (unsigned)number_of("NVML_STUB_PID");
    unsigned there = gpu->number == 0 && pid != 0 ? 2 : 0;
    unsigned room = *count;
    *count = there;
    if (room < there) return INSUFFICIENT_SIZE;
    if (there == 2) {
        processes[0] = (process_t){ 4000000000u, 5ULL << 20, ~0u, ~0u };
        processes[1] = (process_t){ pid, 1700ULL << 20, ~0u, ~0u };
    }
    return SUCCESS;
}

typedef struct {
    unsigned pid;
    unsigned long long time_us;
    unsigned sm, memory, encoder, decoder;
} sample_t;

/* Two samples of the process since it was last asked: 30 % and 10 %; and one that is rubbish. */
int nvmlDeviceGetProcessUtilization(gpu_t *gpu, sample_t *samples, unsigned *count,
                                    unsigned long long last_us) {
    ASK(gpu);
    unsigned pid = (unsigned)number_of("NVML_STUB_PID");
    if (pid == 0) return NOT_FOUND;
    unsigned room = *count;
    *count = 3;
    if (samples == NULL || room < 3) return INSUFFICIENT_SIZE;
    samples[0] = (sample_t){ pid, last_us + 1, 30, 5, 0, 0 };
    samples[1] = (sample_t){ pid, last_us + 2, 10, 5, 0, 0 };
    samples[2] = (sample_t){ pid, last_us + 3, 4294967295u, 0, 0, 0 };
    return SUCCESS;
}

#endif
