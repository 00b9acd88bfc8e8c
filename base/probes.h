// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_PROBES_H_
#define KINSOCK_BASE_PROBES_H_

// Arguments in registers or as constants: the default also lets Clang put them on the stack, which costs a store each
// although nobody looks.
#define STAP_SDT_ARG_CONSTRAINT nr
#include <sys/sdt.h>

#include <cstdint>

namespace kinsock {

// Static probes (USDT) of provider "kinsock", for bpftrace, perf and SystemTap (docs/observability.md, "Probes"). While
// nobody looks each is one nop, and there is no branch around it: arguments are what is at hand anyway. Six of them at
// most, which is what bpftrace reads. Names, order and meaning are an interface: new arguments come last.
//
// Four arguments say who speaks to whom, by CID and port; CIDs are of a network, and two networks may have the same.
//
// Thread: any.

// For a function with a probe in it that is called from its own file only. If that call is inlined and the linker
// throws the function itself away, its note stays and tells of a place that there is not.
#define KINSOCK_HAS_PROBE [[gnu::used, gnu::retain]]

// A packet, once: one that a guest has sent, whatever becomes of it, or that a guest is given by the host or by the
// daemon itself. `op`: VIRTIO_VSOCK_OP_*. `bytes`: of payload, as the header says.
[[gnu::always_inline]] inline void ProbePacket(uint64_t src_cid, uint32_t src_port, uint64_t dst_cid, uint32_t dst_port,
                                               uint16_t op, uint32_t bytes) {
  DTRACE_PROBE6(kinsock, packet, src_cid, src_port, dst_cid, dst_port, op, bytes);
}

// A connection was accepted. `src`: who asked. `type`: VIRTIO_VSOCK_TYPE_*. `id`: of connections/<instance>-<id>.
[[gnu::always_inline]] inline void ProbeConnOpen(uint32_t src_cid, uint32_t src_port, uint32_t dst_cid,
                                                 uint32_t dst_port, uint16_t type, uint64_t id) {
  DTRACE_PROBE6(kinsock, conn_open, src_cid, src_port, dst_cid, dst_port, type, id);
}

// One that was accepted has ended. `reason`: CloseReasonName(). `bytes`: of payload, both ways together.
[[gnu::always_inline]] inline void ProbeConnClose(uint32_t src_cid, uint32_t src_port, uint32_t dst_cid,
                                                  uint32_t dst_port, const char* reason, uint64_t bytes) {
  DTRACE_PROBE6(kinsock, conn_close, src_cid, src_port, dst_cid, dst_port, reason, bytes);
}

// `src` has used up what `dst` has granted (`nanoseconds`: 0), or has got more after so long.
[[gnu::always_inline]] inline void ProbeCreditStall(uint32_t src_cid, uint32_t src_port, uint32_t dst_cid,
                                                    uint32_t dst_port, uint64_t nanoseconds) {
  DTRACE_PROBE5(kinsock, credit_stall, src_cid, src_port, dst_cid, dst_port, nanoseconds);
}

// A message of the VMM of guest `cid` was handled. `request`: VHOST_USER_*, and its `name`. `bytes`: of its payload.
// `fds`: descriptors that came with it. `failed`: 1 if it could not be done.
[[gnu::always_inline]] inline void ProbeVhostMsg(uint32_t cid, uint32_t request, const char* name, uint32_t bytes,
                                                 uint32_t fds, uint32_t failed) {
  DTRACE_PROBE6(kinsock, vhost_msg, cid, request, name, bytes, fds, failed);
}

}  // namespace kinsock

#endif  // KINSOCK_BASE_PROBES_H_
