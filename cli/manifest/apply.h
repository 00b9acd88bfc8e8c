// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_MANIFEST_APPLY_H_
#define KINSOCK_CLI_MANIFEST_APPLY_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "cli/call/client.h"
#include "cli/call/exit_code.h"
#include "cli/manifest/manifest.h"
#include "cli/text/progress.h"

namespace kinsock {

// What has become of an object of a manifest.
enum class Becomes : uint8_t { kNotTried, kCreated, kChanged, kUnchanged, kRefused };

struct Applied {
  std::string name;   // "vms/web"
  std::string place;  // "vms.yaml:3:5"
  Becomes becomes = Becomes::kNotTried;
  bool existed = false;
  bool unchecked = false;  // a dry run: the daemon cannot say before what it is in or of has been made
  std::string reason;      // kRefused: what the daemon said
  std::string message;
};

struct ApplySettings {
  bool dry_run = false;          // the daemon checks everything and changes nothing
  bool force_conflicts = false;  // also VMs of the daemon's configuration file
};

// Makes the daemon's objects what a manifest says: networks first, then policies, VMs and forwards. What is so already
// stays as it is, so that all of it may be done again. What the daemon refuses is said on standard error, with its
// place, and the rest is done; what the manifest does not name is left alone. One thread.
class Applier {
 public:
  // VMs that are under way at once: the daemon writes what comes together to its disk together, and no more than this
  // many of its request slots are taken.
  static constexpr size_t kAtOnce = 16;

  Applier(Client& client, const ApplySettings& settings, Progress& progress)
      : client_(client), settings_(settings), progress_(progress) {}

  // Once. The worst of what happened.
  ExitCode Apply(const Manifest& manifest);

  // In the order of the manifest's lists, all of them.
  const std::vector<Applied>& results() const { return results_; }

 private:
  struct VmCall;

  template <typename Calls, typename Object>
  void ApplyAll(const std::vector<Object>& objects);
  template <typename Calls, typename Object>
  grpc::Status ApplyOne(const Object& object, Applied& result);
  void ApplyVms(const std::vector<Described<v1::Vm>>& vms);
  void Start(VmCall& call, grpc::CompletionQueue& queue);
  void GoOn(VmCall& call, grpc::CompletionQueue& queue);

  template <typename Object>
  Applied& AddResult(const Object& object);
  // `parent`: what it is in or of is only to be made by this dry run.
  bool IsUnchecked(const std::string& parent, Applied& result);
  template <typename Object>
  void Finish(const Object& object, const grpc::Status& status, Applied& result);
  void Count();

  Client& client_;
  const ApplySettings settings_;
  Progress& progress_;
  std::vector<Applied> results_;
  std::set<std::string> to_be_made_;  // names
  size_t done_ = 0;
  size_t all_ = 0;
  bool lost_ = false;  // nobody answers
  ExitCode code_ = kExitOk;
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_MANIFEST_APPLY_H_
