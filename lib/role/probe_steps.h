/* SPDX-License-Identifier: ISC */
#ifndef LIB_ROLE_PROBE_STEPS_H
#define LIB_ROLE_PROBE_STEPS_H

#include <sys/types.h>

#ifdef TEST_HOOKS
/* Acts of probe.c's table: 0 when done, -1 with errno when refused. */
int probe_fork(pid_t parent);
int probe_vfork(pid_t parent);
int probe_clone3(pid_t parent);
int probe_kill_parent(pid_t parent);
int probe_tgkill_parent(pid_t parent);
int probe_abort_parent(pid_t parent);
int probe_queue_signal(pid_t parent);
int probe_ptrace_parent(pid_t parent);
int probe_read_parent(pid_t parent);
int probe_write_parent(pid_t parent);
int probe_pidfd_parent(pid_t parent);
int probe_udp_send(pid_t parent);
int probe_tcp_connect(pid_t parent);
int probe_fastopen_sendto(pid_t parent);
int probe_fastopen_sendmsg(pid_t parent);
int probe_tcp_bind(pid_t parent);
int probe_listen(pid_t parent);
int probe_mprotect_exec(pid_t parent);
int probe_memfd_exec(pid_t parent);
int probe_mmap_file(pid_t parent);
int probe_prlimit_up(pid_t parent);
int probe_pass_descriptor(pid_t parent);
int probe_seccomp_again(pid_t parent);
#ifdef __x86_64__
int probe_int80(pid_t parent);
#endif
#endif

#endif
