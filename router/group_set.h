// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_GROUP_SET_H_
#define KINSOCK_ROUTER_GROUP_SET_H_

#include <string>
#include <vector>

namespace kinsock {

// The groups a VM is in: sorted, each once. Siblings reach each other when they share at least one.
class GroupSet {
 public:
  GroupSet() = default;
  // Any order, repetitions allowed.
  explicit GroupSet(std::vector<std::string> names);

  bool SharesOneWith(const GroupSet& other) const;

  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_GROUP_SET_H_
