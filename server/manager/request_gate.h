// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MANAGER_REQUEST_GATE_H_
#define KINSOCK_SERVER_MANAGER_REQUEST_GATE_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "server/manager/request_table.h"
#include "server/model/vm.h"

namespace kinsock {

// Lets each request through once: its repetition gets the answer of the first, also when that is still under way.
//
// Thread: main. It outlives what it lets through.
class RequestGate {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<VmSnapshotPtr>)>;

  // `answered` outlives the gate.
  explicit RequestGate(RequestTable& answered) : answered_(answered) {}

  // What to answer the request `id` to, in place of `done`. Null: it must not be carried out; `done` has been called,
  // or will be when the first is answered. An empty `id` always goes through. `hash`: see RequestTable.
  Done Enter(const std::string& id, uint64_t hash, Done done);

 private:
  struct UnderWay {
    uint64_t hash;
    std::vector<Done> waiting;
  };

  void Answer(const std::string& id, const absl::StatusOr<VmSnapshotPtr>& result);

  RequestTable& answered_;
  std::unordered_map<std::string, UnderWay> under_way_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MANAGER_REQUEST_GATE_H_
