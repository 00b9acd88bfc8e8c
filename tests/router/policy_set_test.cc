// SPDX-License-Identifier: Apache-2.0
#include "router/policy_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "router/policy_change.h"

namespace kinsock {
namespace {

using PolicyPtr = std::shared_ptr<const Policy>;
using Labels = std::map<std::string, std::string>;

VmIdentity Vm(std::string name, Cid cid, std::vector<std::string> groups, Labels labels = {}) {
  return {.vm = std::move(name),
          .cid = cid,
          .groups = std::make_shared<const GroupSet>(std::move(groups)),
          .labels = std::move(labels)};
}

// Three VMs: two of them share a group.
class PolicySetTest : public ::testing::Test {
 protected:
  const VmIdentity web_ = Vm("vms/web", 10, {"front"}, {{"tier", "web"}, {"zone", "a"}});
  const VmIdentity app_ = Vm("vms/app", 20, {"front", "back"}, {{"tier", "app"}, {"zone", "a"}});
  const VmIdentity db_ = Vm("vms/db", 30, {"back"}, {{"tier", "db"}});

  Policy& Add(std::string name, int32_t priority, bool allow) {
    made_.push_back(std::make_shared<Policy>());
    made_.back()->name = std::move(name);
    made_.back()->priority = priority;
    made_.back()->allow = allow;
    return *made_.back();
  }

  std::shared_ptr<const PolicySet> Make(DefaultPolicy otherwise = DefaultPolicy::kSharedGroup) const {
    return std::make_shared<const PolicySet>(std::vector<PolicyPtr>(made_.begin(), made_.end()), otherwise);
  }

  // Which policy decides; "+" or "-" for the default.
  static std::string Decider(const PolicySet& set, const VmIdentity* from, const VmIdentity* to, uint32_t port = 80) {
    const auto subject = [&](const VmIdentity* vm) { return vm == nullptr ? nullptr : set.Identify(*vm); };
    const auto source = subject(from), target = subject(to);
    const PolicyVerdict verdict = set.Decide(source.get(), target.get(), port);
    if (verdict.policy == nullptr) return verdict.allowed ? "+" : "-";
    EXPECT_EQ(verdict.allowed, verdict.policy->allow);
    return verdict.policy->name;
  }

  std::vector<std::shared_ptr<Policy>> made_;
};

TEST_F(PolicySetTest, WithoutPoliciesASharedGroupDecidesAndTheHostIsInAll) {
  const auto set = Make();
  EXPECT_EQ(Decider(*set, &web_, &app_), "+");
  EXPECT_EQ(Decider(*set, &app_, &db_), "+");
  EXPECT_EQ(Decider(*set, &web_, &db_), "-");
  EXPECT_EQ(Decider(*set, &web_, nullptr), "+");
  EXPECT_EQ(Decider(*set, nullptr, &db_), "+");
}

TEST_F(PolicySetTest, OtherDefaultsIncludeTheHost) {
  const auto all = Make(DefaultPolicy::kAllow), none = Make(DefaultPolicy::kDeny);
  for (const VmIdentity* to : {&db_, static_cast<const VmIdentity*>(nullptr)}) {
    EXPECT_EQ(Decider(*all, &web_, to), "+");
    EXPECT_EQ(Decider(*none, &web_, to), "-");
  }
  EXPECT_EQ(Decider(*none, nullptr, &web_), "-");
}

TEST_F(PolicySetTest, TheFirstByPriorityAndThenByNameDecides) {
  Add("b", 5, true);
  Add("a", 5, false);
  Add("z", -1, true).from.vm = "vms/db";
  const auto set = Make();
  EXPECT_EQ(Decider(*set, &web_, &db_), "a");
  EXPECT_EQ(Decider(*set, &db_, &web_), "z");
}

TEST_F(PolicySetTest, ASelectorDemandsAllThatItSays) {
  Policy& policy = Add("p", 0, true);
  policy.from.labels = {{"tier", "web"}, {"zone", "a"}};
  policy.from.groups = {"other", "front"};
  policy.from.cids = CidSpan{10, 19};
  EXPECT_EQ(Decider(*Make(), &web_, &db_), "p");
  for (const auto& change : std::vector<std::function<void(PolicySelector&)>>{
           [](PolicySelector& s) { s.labels["zone"] = "b"; }, [](PolicySelector& s) { s.labels["more"] = ""; },
           [](PolicySelector& s) { s.groups = {"other"}; },
           [](PolicySelector& s) {
             s.cids = CidSpan{11, 19};
           },
           [](PolicySelector& s) { s.vm = "vms/app"; }, [](PolicySelector& s) { s = {.host = true}; }}) {
    const PolicySelector before = policy.from;
    change(policy.from);
    EXPECT_EQ(Decider(*Make(), &web_, &db_), "-");
    policy.from = before;
  }
}

TEST_F(PolicySetTest, NothingSaidIsEveryoneAndTheHost) {
  Add("closed", 0, false).to.vm = "vms/app";
  const auto set = Make();
  EXPECT_EQ(Decider(*set, &web_, &app_), "closed");
  EXPECT_EQ(Decider(*set, nullptr, &app_), "closed");
  EXPECT_EQ(Decider(*set, &app_, &web_), "+");
}

TEST_F(PolicySetTest, TheHostIsASubjectOfItsOwn) {
  Policy& narrow = Add("narrow", 0, false);
  narrow.from.labels = {{"tier", "web"}};
  narrow.to.host = true;
  narrow.ports = {{1, 1023}};
  const auto set = Make();
  EXPECT_EQ(Decider(*set, &web_, nullptr, 1023), "narrow");
  EXPECT_EQ(Decider(*set, &web_, nullptr, 1024), "+");
  EXPECT_EQ(Decider(*set, &app_, nullptr, 80), "+");
  EXPECT_EQ(Decider(*set, nullptr, &web_, 80), "+");
  EXPECT_EQ(Decider(*set, &web_, &app_, 80), "+");
}

TEST_F(PolicySetTest, PortsAreThoseOfTheEndThatIsConnectedTo) {
  Add("ports", 0, false).ports = {{0, 0}, {80, 80}, {443, 444}, {0xffff'ffff, 0xffff'ffff}};
  const auto set = Make(DefaultPolicy::kAllow);
  for (const uint32_t port : {0u, 80u, 443u, 444u, 0xffff'ffffu}) EXPECT_EQ(Decider(*set, &web_, &db_, port), "ports");
  for (const uint32_t port : {1u, 79u, 81u, 445u, 0xffff'fffeu}) EXPECT_EQ(Decider(*set, &web_, &db_, port), "+");
}

TEST_F(PolicySetTest, WhatDecidesIsCounted) {
  const Policy& policy = Add("p", 0, true);
  made_.back()->to.vm = "vms/db";
  const auto set = Make();
  const auto web = set->Identify(web_), app = set->Identify(app_), db = set->Identify(db_);
  for (const auto& [from, to] : {std::pair(web, db), std::pair(app, db), std::pair(web, app), std::pair(db, web)}) {
    set->Count(set->Decide(from.get(), to.get(), 1));
  }
  EXPECT_EQ(policy.hits->value(), 2u);
  EXPECT_EQ(set->default_hits().allowed.value(), 1u);
  EXPECT_EQ(set->default_hits().denied.value(), 1u);
}

TEST_F(PolicySetTest, SubjectsOfAnotherSetAreDenied) {
  Add("all", 0, true);
  const auto set = Make(), other = Make();
  const auto web = set->Identify(web_), stranger = other->Identify(app_);
  EXPECT_FALSE(set->Decide(web.get(), stranger.get(), 1).allowed);
}

// --- Changes ---

class PolicyChangeTest : public PolicySetTest {
 protected:
  PolicyChange Change(std::shared_ptr<const PolicySet> before, std::shared_ptr<const PolicySet> after) const {
    PolicyChange change{.before = before, .after = after, .vms = {}};
    for (const VmIdentity& vm : {web_, app_}) change.vms[vm.cid] = {before->Identify(vm), after->Identify(vm)};
    return change;
  }
};

TEST_F(PolicyChangeTest, WhatIsDeniedNowIsRevoked) {
  const auto before = Make();
  Policy& policy = Add("closed", 0, false);
  policy.to.vm = "vms/app";
  policy.reset_existing = true;
  const PolicyChange change = Change(before, Make());
  EXPECT_TRUE(change.ResetsExisting());
  EXPECT_TRUE(change.Revokes(web_.cid, app_.cid, 80));
  EXPECT_TRUE(change.Revokes(kHostCid, app_.cid, 80));
  EXPECT_FALSE(change.Revokes(app_.cid, web_.cid, 80));
  EXPECT_FALSE(change.Revokes(app_.cid, kHostCid, 80));
  EXPECT_FALSE(change.Revokes(web_.cid, 99, 80)) << "it came later";
}

TEST_F(PolicyChangeTest, WhatLosesItsPermissionIsRevokedToo) {
  Policy& policy = Add("open", 0, true);
  policy.reset_existing = true;
  const auto before = Make(DefaultPolicy::kDeny);
  made_.clear();
  const PolicyChange change = Change(before, Make(DefaultPolicy::kDeny));
  EXPECT_TRUE(change.ResetsExisting());
  EXPECT_TRUE(change.Revokes(web_.cid, app_.cid, 80));
}

TEST_F(PolicyChangeTest, WhatWasDeniedBeforeStaysUnlessItsPolicySaysOtherwise) {
  Add("a", 0, false).to.vm = "vms/app";  // whoever was connected then was left alone
  const auto before = Make();
  Policy& other = Add("b", 1, false);
  other.to.vm = "vms/web";
  other.reset_existing = true;
  EXPECT_FALSE(Change(before, Make()).Revokes(web_.cid, app_.cid, 80));
  made_.front() = std::make_shared<Policy>(*made_.front());
  made_.front()->reset_existing = true;
  EXPECT_TRUE(Change(before, Make()).Revokes(web_.cid, app_.cid, 80));
}

TEST_F(PolicyChangeTest, NobodyIsLookedForIfNoPolicySaysSo) {
  const auto before = Make();
  Add("closed", 0, false);
  EXPECT_FALSE(Change(before, Make()).ResetsExisting());
}

// --- Against a matcher that asks every policy ---

// The rules as docs/api.md tells them, without any of the means of PolicySet.
struct Naive {
  std::vector<PolicyPtr> policies;
  DefaultPolicy otherwise;

  static bool About(const PolicySelector& selector, const VmIdentity* vm) {
    const bool says_nothing = !selector.host && selector.vm.empty() && selector.groups.empty() &&
                              selector.labels.empty() && !selector.cids.has_value();
    if (says_nothing) return true;
    if (vm == nullptr || selector.host) return vm == nullptr && selector.host;
    if (selector.vm != "" && selector.vm != vm->vm) return false;
    if (selector.cids && !(selector.cids->first <= vm->cid && vm->cid <= selector.cids->last)) return false;
    for (const auto& [key, value] : selector.labels) {
      if (vm->labels.count(key) == 0 || vm->labels.at(key) != value) return false;
    }
    bool in_a_group = selector.groups.empty();
    for (const std::string& group : selector.groups) {
      for (const std::string& own : vm->groups->names()) in_a_group = in_a_group || own == group;
    }
    return in_a_group;
  }

  std::pair<bool, std::string> Decide(const VmIdentity* from, const VmIdentity* to, uint32_t port) const {
    const Policy* first = nullptr;
    for (const PolicyPtr& policy : policies) {
      bool covers = policy->ports.empty();
      for (const PortSpan& span : policy->ports) covers = covers || (span.first <= port && port <= span.last);
      if (!covers || !About(policy->from, from) || !About(policy->to, to)) continue;
      if (first == nullptr || policy->priority < first->priority ||
          (policy->priority == first->priority && policy->name < first->name)) {
        first = policy.get();
      }
    }
    if (first != nullptr) return {first->allow, first->name};
    if (otherwise != DefaultPolicy::kSharedGroup) return {otherwise == DefaultPolicy::kAllow, ""};
    if (from == nullptr || to == nullptr) return {true, ""};
    for (const std::string& one : from->groups->names()) {
      for (const std::string& other : to->groups->names()) {
        if (one == other) return {true, ""};
      }
    }
    return {false, ""};
  }
};

class Chance {
 public:
  explicit Chance(uint32_t seed) : random_(seed) {}

  bool OneIn(uint32_t n) { return random_() % n == 0; }
  uint32_t Below(uint32_t n) { return random_() % n; }
  std::string Group() { return "g" + std::to_string(Below(6)); }

  VmIdentity SomeVm(int number) {
    std::vector<std::string> groups;
    for (uint32_t i = Below(4); i > 0; --i) groups.push_back(Group());
    Labels labels;
    for (uint32_t i = Below(4); i > 0; --i) labels["k" + std::to_string(Below(4))] = "v" + std::to_string(Below(3));
    return Vm("vms/v" + std::to_string(number), 3 + Below(100), std::move(groups), std::move(labels));
  }

  PolicySelector Selector() {
    PolicySelector selector;
    if (OneIn(8)) return {.host = true};
    if (OneIn(6)) selector.vm = "vms/v" + std::to_string(Below(40));
    if (OneIn(3)) {
      for (uint32_t i = Below(3); i > 0; --i) selector.groups.push_back(Group());
    }
    if (OneIn(2)) {
      for (uint32_t i = Below(3); i > 0; --i) {
        selector.labels["k" + std::to_string(Below(4))] = "v" + std::to_string(Below(3));
      }
    }
    if (OneIn(4)) {
      const Cid first = 3 + Below(100);
      selector.cids = CidSpan{first, first + Below(30)};
    }
    return selector;
  }

  PolicyPtr SomePolicy(int number) {
    auto policy = std::make_shared<Policy>();
    policy->name = "p" + std::to_string(number * 7919 % 10007);
    policy->priority = static_cast<int32_t>(Below(20)) - 10;
    policy->allow = OneIn(2);
    policy->from = Selector();
    policy->to = Selector();
    for (uint32_t i = Below(3); i > 0; --i) {
      const uint32_t first = Below(1000);
      policy->ports.push_back({first, first + Below(50)});
    }
    return policy;
  }

 private:
  std::mt19937 random_;
};

TEST(PolicySetRandomTest, DecidesLikeAMatcherThatAsksEveryPolicy) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    Chance chance(seed);
    Naive naive;
    naive.otherwise = static_cast<DefaultPolicy>(chance.Below(3));
    const int policies = static_cast<int>(seed % 4 == 0 ? 700 : chance.Below(70));
    for (int i = 0; i < policies; ++i) naive.policies.push_back(chance.SomePolicy(i));
    const auto set = std::make_shared<const PolicySet>(naive.policies, naive.otherwise);
    std::vector<VmIdentity> vms;
    std::vector<std::shared_ptr<const PolicySubject>> subjects;
    for (int i = 0; i < 20; ++i) {
      vms.push_back(chance.SomeVm(i));
      subjects.push_back(set->Identify(vms.back()));
    }
    for (int i = 0; i < 2000; ++i) {
      const uint32_t from = chance.Below(21), to = chance.Below(21);
      if (from == 20 && to == 20) continue;
      const uint32_t port = chance.Below(1100);
      const auto [allowed, name] = naive.Decide(from < 20 ? &vms[from] : nullptr, to < 20 ? &vms[to] : nullptr, port);
      const PolicyVerdict verdict =
          set->Decide(from < 20 ? subjects[from].get() : nullptr, to < 20 ? subjects[to].get() : nullptr, port);
      ASSERT_EQ(verdict.allowed, allowed) << "seed " << seed << " from " << from << " to " << to << ":" << port;
      ASSERT_EQ(verdict.policy != nullptr ? verdict.policy->name : "", name)
          << "seed " << seed << " from " << from << " to " << to << ":" << port;
    }
  }
}

}  // namespace
}  // namespace kinsock
