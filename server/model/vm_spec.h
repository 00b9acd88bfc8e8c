// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_SPEC_H_
#define KINSOCK_SERVER_MODEL_VM_SPEC_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device/readiness.h"
#include "router/cid.h"
#include "router/group_set.h"
#include "server/host/socket_access.h"
#include "server/model/quota.h"

namespace kinsock {

// Which CID a VM wants. Plain value.
struct CidRequest {
  enum class Kind : uint8_t { kAutomatic, kFixed, kRange, kReserved };
  Kind kind = Kind::kAutomatic;
  Cid first = 0;  // kFixed, kReserved: the CID; kRange: the lowest
  Cid last = 0;   // kRange: the highest, included

  std::string network;  // kReserved: where the reservation is
  bool sticky = false;  // kAutomatic, kRange: rather the one that the VM of this name had last

  static CidRequest Automatic() { return {}; }
  static CidRequest Fixed(Cid cid) { return {Kind::kFixed, cid, cid, "", false}; }
  static CidRequest Range(Cid first, Cid last) { return {Kind::kRange, first, last, "", false}; }
  static CidRequest Reserved(std::string network, Cid cid) {
    return {Kind::kReserved, cid, cid, std::move(network), false};
  }
  friend bool operator==(const CidRequest&, const CidRequest&) = default;
};

// A host side in the AF_VSOCK address space of the host's kernel. Plain value.
struct VsockProxy {
  Cid forward_cid = 0;                 // where the guest's calls to the host go
  std::vector<uint32_t> listen_ports;  // of the host; each stands for the same port of the guest
  friend bool operator==(const VsockProxy&, const VsockProxy&) = default;
};

// What is wanted of a VM: what a client or a configuration file may say. Plain value; checked by vm_validation.
struct VmSpec {
  static constexpr uint32_t kDefaultQueueSize = 1024;
  static constexpr uint32_t kDefaultTxBufferBytes = 65536;
  static constexpr char kDefaultGroup[] = "default";

  std::string network;  // id; empty: kDefaultNetworkId
  CidRequest cid;
  std::string vhost_user_socket;  // empty: "<runtime dir>/vms/<id>/vhost.sock"
  bool has_uds = false;           // a host side on UNIX sockets was asked for
  std::string uds_path;
  std::optional<VsockProxy> vsock_proxy;  // one on AF_VSOCK; excludes the other
  std::vector<std::string> groups;        // empty: kDefaultGroup
  uint32_t queue_size = 0;                // 0: kDefaultQueueSize
  uint32_t tx_buffer_bytes = 0;           // 0: kDefaultTxBufferBytes
  std::optional<bool> allow_seqpacket;    // none: true
  Quota quota;
  Readiness readiness;
  std::optional<SocketAccess> socket_access;
  std::chrono::milliseconds orphan_ttl{0};  // 0: stays without a VMM
  friend bool operator==(const VmSpec&, const VmSpec&) = default;
};

// The id of the network that the VM is in.
inline std::string NetworkOf(const VmSpec& spec) { return spec.network.empty() ? "default" : spec.network; }

// The groups that the VM is in: sorted, each once, the default filled in.
inline std::vector<std::string> EffectiveGroups(const VmSpec& spec) {
  if (spec.groups.empty()) return {VmSpec::kDefaultGroup};
  return GroupSet(spec.groups).names();
}

// All that creating a VM takes. Plain value.
struct VmCreation {
  std::string id;
  VmSpec spec;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::string request_id;     // empty: not repeatable
  uint64_t request_hash = 0;  // of the request as it came, to tell a repetition from a reuse of the id
  bool validate_only = false;
  // Of the command line or the configuration file, which say it again at the next start: it is not saved, and its
  // sockets may be wherever the daemon can make them.
  bool configured = false;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_SPEC_H_
