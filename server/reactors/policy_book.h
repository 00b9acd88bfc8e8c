// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_REACTORS_POLICY_BOOK_H_
#define KINSOCK_SERVER_REACTORS_POLICY_BOOK_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "device/device_spec.h"
#include "router/network.h"
#include "router/policy_change.h"

namespace kinsock {

// Who is in which network, and how its policies see each: what the reactors are told of, kept so that it can be worked
// out anew when policies or VMs change. Thread: main.
class PolicyBook {
 public:
  // A VM comes. `device` is not there yet.
  std::shared_ptr<const PolicySubject> Add(DeviceId device, NetworkId network, VmIdentity identity);
  void Remove(DeviceId device);

  // The VM has other groups and labels. Precondition of all three: it is there.
  std::shared_ptr<const PolicySubject> SetIdentity(DeviceId device, std::shared_ptr<const GroupSet> groups,
                                                   std::map<std::string, std::string> labels);
  // It has another CID.
  std::shared_ptr<const PolicySubject> SetCid(DeviceId device, Cid cid);
  std::shared_ptr<const PolicySubject> Find(DeviceId device) const { return vms_.at(device).subject; }

  // The network goes by these policies. Costs as much as there are VMs in it, and for each as much as policies may be
  // about it.
  std::shared_ptr<const PolicyChange> SetPolicies(NetworkId network, std::shared_ptr<const PolicySet> policies);

  std::vector<DeviceId> DevicesOf(NetworkId network) const;
  // Precondition: no VM is in it.
  void RemoveNetwork(NetworkId network) { networks_.erase(network); }

 private:
  struct Vm {
    NetworkId network = kDefaultNetwork;
    VmIdentity identity;
    std::shared_ptr<const PolicySubject> subject;
  };
  struct Network {
    std::shared_ptr<const PolicySet> policies =
        std::make_shared<const PolicySet>(std::vector<std::shared_ptr<const Policy>>(), DefaultPolicy::kSharedGroup);
    absl::flat_hash_set<DeviceId> devices;
  };

  absl::flat_hash_map<DeviceId, Vm> vms_;
  absl::flat_hash_map<NetworkId, Network> networks_;
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_REACTORS_POLICY_BOOK_H_
