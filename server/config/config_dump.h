// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_CONFIG_DUMP_H_
#define KINSOCK_SERVER_CONFIG_CONFIG_DUMP_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "api/kinsock/v1/admin_service.pb.h"
#include "server/config/config.h"
#include "server/model/forward_spec.h"
#include "server/model/network.h"
#include "server/model/vm.h"

namespace kinsock {

// What is configured, by whomever, at a moment. Plain value; what it points to is changed by nobody.
struct ConfigSnapshot {
  Config settings;  // its lists are not looked at
  std::vector<NetworkDefinitionPtr> networks;
  std::vector<PolicyDefinitionPtr> policies;
  std::shared_ptr<const std::vector<VmSnapshotPtr>> vms;
  std::vector<ForwardDefinitionPtr> forwards;
};

// The text of a configuration file, and the API's messages, for a snapshot, piece by piece: only one is in memory.
//
// Any thread, one at a time.
class ConfigDump {
 public:
  // A piece ends when it has more. The largest VM there can be adds some 100 KiB.
  static constexpr size_t kPieceBytes = 1u << 20;

  // `file_only`: what the API has made stays out.
  ConfigDump(ConfigSnapshot snapshot, bool file_only) : snapshot_(std::move(snapshot)), file_only_(file_only) {}

  // Fills the next piece. False: there is none any more. The first one has the settings, and can be had on the spot.
  bool Next(v1::ConfigDump& piece);

 private:
  static bool Full(const v1::ConfigDump& piece);
  template <typename List>
  void AddList(const List& list, const char* title, v1::ConfigDump& piece);

  const ConfigSnapshot snapshot_;
  const bool file_only_;
  bool begun_ = false;
  size_t list_ = 0;      // networks, policies, VMs, forwards
  size_t next_ = 0;      // of that list
  bool titled_ = false;  // the list's title is written
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_CONFIG_DUMP_H_
