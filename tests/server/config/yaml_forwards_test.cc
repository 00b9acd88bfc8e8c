// SPDX-License-Identifier: Apache-2.0
//
// Files: forwards.
#include "server/config/yaml_config.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/server/config/bad_yaml.h"

namespace kinsock {
namespace {

using testing::BadYaml;
using testing::ExpectRefused;

TEST(YamlForwardsTest, BothDirectionsByTheirAddress) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(R"(
forwards:
  - {name: ssh, vm: web-1, guest_port: 22, listen: "unix:/run/ssh.sock", mode: "0622", group: 0}
  - {name: log, vm: vms/web-1, guest-port: 514, target: "tcp:[::1]:514", send_proxy_v2: true}
)",
                                                            "f");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->forwards.size(), 2u);
  const ForwardSpec& ssh = config->forwards[0].creation.spec;
  EXPECT_EQ(config->forwards[0].creation.id, "ssh");
  EXPECT_EQ(config->forwards[0].origin, "f:3:5");
  EXPECT_EQ(ssh.vm, "vms/web-1");
  EXPECT_TRUE(ssh.to_guest());
  EXPECT_EQ(ssh.listen, "unix:/run/ssh.sock");
  EXPECT_EQ(ssh.access->mode, 0622u);
  EXPECT_EQ(ssh.access->gid, 0u);
  const ForwardSpec& log = config->forwards[1].creation.spec;
  EXPECT_EQ(log.vm, "vms/web-1");
  EXPECT_EQ(log.direction, Forward::Direction::kFromGuest);
  EXPECT_EQ(log.target, "tcp:[::1]:514");
  EXPECT_TRUE(log.send_proxy_v2);
}

TEST(YamlForwardsTest, FaultsNameLineColumnAndField) {
  const std::vector<BadYaml> cases = {
      {"forwards: 1", "f:1:11: forwards: is not a list"},
      {"forwards:\n- ssh", "f:2:3: forwards[0]: is not a map"},
      {"forwards:\n- {lisen: x}", "f:2:4: forwards[0].lisen: is not a setting (did you mean \"listen\"?)"},
      {"forwards:\n- {guest_port: ssh}", "f:2:16: forwards[0].guest_port: is not a number"},
      {"forwards:\n- {mode: 9}", "f:2:10: forwards[0].mode: is not a mode"},
      {"forwards:\n- {name: a, vm: b, guest_port: 1}", "f:2:3: forwards[0].listen: is missing, and so is target"},
      {"forwards:\n- {name: a, vm: b, guest_port: 1, listen: \"tcp:0.0.0.0:1\"}",
       "f:2:43: forwards[0].listen: \"tcp:0.0.0.0:1\" is not on the loopback interface"},
      {"forwards:\n- {name: a, vm: b, guest_port: 1, listen: \"unix:/a\", owner: no-such-user-here}",
       "forwards[0].owner: there is no user \"no-such-user-here\""},
      {"forwards:\n- {name: a, vm: b, guest_port: 1, target: \"unix:/a\", mode: 0600}",
       "forwards[0].mode: is for TO_GUEST on a UNIX socket"},
  };
  ExpectRefused(cases);
}

}  // namespace
}  // namespace kinsock
