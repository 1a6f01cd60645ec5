/*
 * Lets user-mode-linux of before 6.13 run on a processor with a larger register state than it knows (AMX).
 *
 * Since Linux 5.14 PTRACE_SETREGSET takes the whole state of the processor or refuses with EFAULT, and that
 * kernel hands over the 2696 bytes that were all when it was written. Here the rest is filled up with zeros,
 * which say "in its initial state": nothing in the machine can use it, for it never asks for permission.
 *
 * cc -shared -fPIC -O2 -o wide_registers.so wide_registers.c; LD_PRELOAD=./wide_registers.so linux.uml ...
 */
#define _GNU_SOURCE
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Static, because the caller's stack is a kernel's of 8 KB; that kernel is at one place at a time. */
static char whole[1 << 16];
static size_t size;

long ptrace(enum __ptrace_request request, ...)
{
	va_list more;
	va_start(more, request);
	pid_t pid = va_arg(more, pid_t);
	void *address = va_arg(more, void *);
	void *data = va_arg(more, void *);
	va_end(more);

	if (request == PTRACE_SETREGSET && (unsigned long)address == NT_X86_XSTATE) {
		const struct iovec *known = data;
		if (!size) {
			struct iovec all = { whole, sizeof(whole) };
			if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, address, &all) == 0)
				size = all.iov_len;
			memset(whole, 0, sizeof(whole));
		}
		if (known->iov_len < size) {
			struct iovec all = { whole, size };
			memcpy(whole, known->iov_base, known->iov_len);
			return syscall(SYS_ptrace, request, pid, address, &all);
		}
	}
	/* glibc's own way with the requests that answer with a word. */
	if (request > 0 && request < 4) {
		long word;
		long failed = syscall(SYS_ptrace, request, pid, address, &word);
		return failed < 0 ? failed : word;
	}
	return syscall(SYS_ptrace, request, pid, address, data);
}
