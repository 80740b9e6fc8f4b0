/*-------------------------------------------------------------------------
 * confine.c
 *		Runs a command under rules of the operating system that a hardened
 *		host may have; status 77 if this one does not know them.
 *
 *	 confine mdwe COMMAND [ARGUMENT ...]
 *		 memory is never executable after it was writable (prctl)
 *	 confine wx COMMAND [ARGUMENT ...]
 *		 no mapping is made executable, or both writable and executable, as by
 *		 systemd's MemoryDenyWriteExecute (seccomp)
 *	 confine readonly COMMAND [ARGUMENT ...]
 *		 no mapping is made writable by mprotect() (seccomp)
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

#define CANNOT 77

/* low half of the third argument: protection, for mmap and mprotect */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PROTECTION offsetof(struct seccomp_data, args[2])
#else
#define PROTECTION (offsetof(struct seccomp_data, args[2]) + 4)
#endif

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter wx[] = {
	LOAD(offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
	LOAD(PROTECTION),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 6),
	REFUSE,
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 4),
	LOAD(PROTECTION),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_WRITE | PROT_EXEC, 0, 1),
	REFUSE,
	ALLOW,
};

static struct sock_filter readonly[] = {
	LOAD(offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
	LOAD(PROTECTION),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_WRITE, 0, 1),
	REFUSE,
	ALLOW,
};

static int
set_filter(struct sock_filter *filter, size_t size)
{
	struct sock_fprog program = {size / sizeof(*filter), filter};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int
main(int argc, char **argv)
{
	int			failed;

	if (argc < 3)
	{
		fprintf(stderr, "usage: confine mdwe|wx|readonly COMMAND [ARGUMENT ...]\n");
		return 1;
	}
	if (strcmp(argv[1], "mdwe") == 0)
		failed = prctl(PR_SET_MDWE, 1, 0, 0, 0);
	else if (strcmp(argv[1], "wx") == 0)
		failed = set_filter(wx, sizeof(wx));
	else if (strcmp(argv[1], "readonly") == 0)
		failed = set_filter(readonly, sizeof(readonly));
	else
	{
		fprintf(stderr, "confine: no rules \"%s\"\n", argv[1]);
		return 1;
	}
	if (failed)
	{
		perror("confine");
		return CANNOT;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 1;
}
