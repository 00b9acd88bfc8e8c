// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_VALIDATION_H_
#define KINSOCK_SERVER_MODEL_VM_VALIDATION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/model/vm_spec.h"
#include "server/status/error.h"

namespace kinsock {

// The bounds of what a VM may say of itself. A client chooses all of it, and the daemon keeps it, in lists, watches
// and logs: so each has an end. Outcome: a FieldViolation.
inline constexpr size_t kMaxIdBytes = 63;     // a DNS label: fits wherever names are used
inline constexpr size_t kMaxLabels = 64;      // what Kubernetes objects carry, twice over
inline constexpr size_t kMaxLabelBytes = 63;  // key and value each, as in Kubernetes
inline constexpr size_t kMaxAnnotations = 64;
inline constexpr size_t kMaxAnnotationBytes = 16384;  // of all together: 100 VMs on a page stay below 4 MiB
inline constexpr size_t kMaxGroups = 64;              // each packet's permission was worked out from them
inline constexpr size_t kMaxGroupBytes = 63;
inline constexpr uint32_t kMinQueueSize = 2;
inline constexpr uint32_t kMaxQueueSize = 32768;          // virtio 1.3, section 2.7: the largest split virtqueue
inline constexpr uint32_t kMinTxBufferBytes = 1024;       // below, a window costs more packets than it carries
inline constexpr uint32_t kMaxTxBufferBytes = 64u << 20;  // DeviceLimits::max_buffered_bytes: one connection's share
// Longer than any absence of a VMM that is meant to end.
inline constexpr std::chrono::hours kMaxOrphanTtl{30 * 24};
inline constexpr size_t kMaxRequestIdBytes = 64;
// Of AF_VSOCK on the host, for one VM: each costs a descriptor, of which a VM otherwise has some fifteen.
inline constexpr size_t kMaxListenPorts = 64;

// Whether `id` is 1 to 63 lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen.
bool IsVmId(std::string_view id);

// Adds what is wrong with a request_id; empty is none, which is fine.
void CheckRequestId(const std::string& id, std::vector<FieldViolation>& violations);

// Adds what is wrong with a wish for a CID.
void CheckCidRequest(const CidRequest& cid, const std::string& field, std::vector<FieldViolation>& violations);

// Adds what is wrong with the labels, or the groups, of the field `field`.
void CheckLabels(const std::map<std::string, std::string>& labels, const std::string& field,
                 std::vector<FieldViolation>& violations);
void CheckGroups(const std::vector<std::string>& groups, const std::string& field,
                 std::vector<FieldViolation>& violations);

// All that is wrong with `creation` whatever else there is in the daemon and on the machine; empty if nothing. The
// fields are those of CreateVmRequest: "vm_id", "vm.spec.uds.path". Any thread.
std::vector<FieldViolation> CheckVm(const VmCreation& creation);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_VALIDATION_H_
