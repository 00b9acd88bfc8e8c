// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_VM_FILTER_H_
#define KINSOCK_SERVER_MODEL_VM_FILTER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "router/cid.h"
#include "server/model/vm.h"

namespace kinsock {

// Which VMs a client wants to hear of: a small part of the filter language of AIP-160.
//
//     filter = term { "AND" term }
//     term   = field ( "=" | "!=" | ":" ) value
//     field  = "name" | "state" | "cid" | "groups" | "labels" | "labels." key | "condition." type
//     value  = word | '"' text '"'            in text, \" and \\ are the character itself
//     word   = letters, digits, "-", "_", ".", "/", and "*" alone
//
//     labels.tier = web AND state != ACTIVE AND groups:db AND labels:zone AND labels.zone:*
//     condition.GuestReady = TRUE                 TRUE, FALSE or UNKNOWN
//
// "=" and "!=" compare; a label that is not there differs from every value. ":" asks whether there is such a thing: a
// group, a label key, a label's value ("*": any). Words are told apart from one another by case.
//
// A plain value; any thread may ask it.
class VmFilter {
 public:
  // A client chooses it, and each change of each VM is held against it: so it has an end. Outcome: FIELD_INVALID.
  static constexpr size_t kMaxBytes = 2048;
  static constexpr size_t kMaxTerms = 32;

  // Lets everything through.
  VmFilter() = default;

  // INVALID_ARGUMENT FIELD_INVALID of the field "filter", with the place: "at byte 7: ...". Empty: everything.
  static absl::StatusOr<VmFilter> Parse(std::string_view text);

  bool Matches(const VmSnapshot& vm) const;
  bool matches_all() const { return terms_.empty(); }

 private:
  friend class VmFilterParser;

  enum class Field : uint8_t { kName, kState, kCid, kGroups, kLabelKeys, kLabel, kCondition };
  enum class Operator : uint8_t { kEquals, kDiffers, kHas };
  struct Term {
    Field field = Field::kName;
    Operator op = Operator::kEquals;
    std::string key;    // kLabel, kCondition
    std::string value;  // kName, kState, kGroups, kLabelKeys, kLabel, kCondition
    Cid cid = 0;        // kCid
    bool any = false;   // kLabel with kHas: whatever its value
  };

  static bool Holds(const Term& term, const VmSnapshot& vm);

  std::vector<Term> terms_;  // all must hold
};

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_VM_FILTER_H_
