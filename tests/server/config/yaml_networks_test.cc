// SPDX-License-Identifier: Apache-2.0
//
// Files: networks and policies.
#include "server/config/yaml_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "tests/server/config/bad_yaml.h"

namespace kinsock {
namespace {

using testing::BadYaml;
using ::testing::ElementsAre;
using testing::ExpectRefused;

TEST(YamlNetworksTest, NetworksAndPolicies) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(R"(
networks:
  - {name: lab, cid_range: 1024-2047, reserved_ranges: [1100-1199, 2000], quarantine: 2m, default_policy: deny,
     quota: {max_connections: 100, bytes_to_guest: {rate: 1000000, burst: 100000}}}
policies:
  - {network: default, priority: 10, allow: false, from: {labels: {tier: web}}, to: {host: true}, ports: [1-1023]}
  - {name: open, network: lab, allow: true, log: true, reset_existing: true, ports: [22],
     from: {groups: [a, b], cid_range: 3-9}, to: {vm: web-1}}
vms:
  - {name: here, guest_cid: 42}
  - {name: there, network: lab, guest_cid: 42}
)",
                                                            "f");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->networks.size(), 1u);
  const NetworkSpec& network = config->networks[0].creation.spec;
  EXPECT_EQ(network.cids, (CidSpan{1024, 2047}));
  EXPECT_THAT(network.reserved, ElementsAre(CidSpan{1100, 1199}, CidSpan{2000, 2000}));
  EXPECT_EQ(network.quarantine, std::chrono::minutes(2));
  EXPECT_EQ(network.otherwise, DefaultPolicy::kDeny);
  EXPECT_EQ(network.quota.max_connections, 100u);
  EXPECT_EQ(network.quota.bytes_to_guest, (Rate{1'000'000, 100'000}));
  ASSERT_EQ(config->policies.size(), 2u);
  const PolicyCreation& low = config->policies[0].creation;
  EXPECT_EQ(low.id, "file-1");
  EXPECT_EQ(low.network, "default");
  EXPECT_EQ(low.spec.priority, 10);
  EXPECT_FALSE(low.spec.allow);
  EXPECT_EQ(low.spec.from.labels.at("tier"), "web");
  EXPECT_TRUE(low.spec.to.host);
  EXPECT_THAT(low.spec.ports, ElementsAre(PortSpan{1, 1023}));
  const PolicyCreation& open = config->policies[1].creation;
  EXPECT_EQ(open.id, "open");
  EXPECT_TRUE(open.spec.allow && open.spec.log && open.spec.reset_existing);
  EXPECT_THAT(open.spec.from.groups, ElementsAre("a", "b"));
  EXPECT_EQ(open.spec.from.cids, (CidSpan{3, 9}));
  EXPECT_EQ(open.spec.to.vm, "vms/web-1");
  EXPECT_EQ(config->vms[1].creation.spec.network, "lab");
}

TEST(YamlNetworksTest, EachFaultIsToldWithItsPlace) {
  const std::vector<BadYaml> cases = {
      {"networks: 3", "f:1:11: networks: is not a list"},
      {"networks:\n- 3", "f:2:3: networks[0]: is not a map"},
      {"networks:\n- {name: lab, cids: 3-9}", "f:2:15: networks[0].cids: is not a setting"},
      {"networks:\n- {name: lab, cid_range: a-9}", "f:2:26: networks[0].cid_range: is not a range"},
      {"networks:\n- {name: lab, cid_range: 9-3}", "f:2:26: networks[0].cid_range: begins at 9"},
      {"networks:\n- {name: lab, quarantine: long}", "f:2:27: networks[0].quarantine: is not a time"},
      {"networks:\n- {name: Lab}", "f:2:10: networks[0].name: \"Lab\" is not an id"},
      {"networks:\n- {name: lab, quota: {max_connection: 3}}",
       "f:2:23: networks[0].quota.max_connection: is not a limit"},
      {"networks:\n- {name: lab, quota: {bytes_to_guest: 1}}", "networks[0].quota.bytes_to_guest.rate: 1 is not from"},
      {"policies:\n- {to: {hosts: true}}", "f:2:9: policies[0].to.hosts: is not a setting"},
      {"policies:\n- {to: {host: 1}}", "f:2:15: policies[0].to.host: is neither true nor false"},
      {"policies:\n- {ports: [9-3]}", "f:2:11: policies[0].ports[0]: begins at 9"},
      {"policies:\n- {priority: high}", "f:2:14: policies[0].priority: is not a number"},
  };
  ExpectRefused(cases);
}

}  // namespace
}  // namespace kinsock
