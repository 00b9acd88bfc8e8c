// SPDX-License-Identifier: Apache-2.0
//
// What is written can be read.
#include "server/config/config_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>

#include "server/config/flag_config.h"
#include "server/config/yaml_config.h"
#include "tests/server/config/command_line.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using ::testing::IsEmpty;
using testing::Parse;

// Everything that can be said, with texts that look like something else.
Config Everything() {
  Config config;
  config.api_sockets = {"/run/kinsock/api.sock", "/run/a b: c.sock"};
  config.api_view_sockets = {"/run/view.sock", "/run/view2.sock"};
  config.api_tcp = {*TcpEndpoint::Parse("tcp:[::1]:7443")};
  config.tls = {"/c", "/k", "/a"};
  config.socket_dirs = {"/srv/vms", "/"};
  config.vm_socket_dir = "/srv/a b";
  EXPECT_EQ(config.api_roles.Add("admin=group:50002"), "");
  EXPECT_EQ(config.api_roles.Add("viewer=user:50001"), "");
  EXPECT_EQ(config.api_roles.Add("operator=san:spiffe://fleet/x"), "");
  config.quota = {.max_connections = 1024, .bytes_to_guest = {1'000'000, 100'000}};
  config.state_dir = "/var/lib/kinsock";
  config.reactors = 3;
  config.poll = std::chrono::microseconds(7);
  config.log_format = LogFormat::kJson;

  NetworkCreation lab;
  lab.id = "lab";
  lab.spec = {.cids = {1024, 2047},
              .reserved = {{1100, 1199}, {1500, 1500}},
              .quarantine = std::chrono::milliseconds(90'500),
              .otherwise = DefaultPolicy::kDeny,
              .quota = {.max_buffer_bytes = 65536, .packets_from_guest = {1000, 0}}};
  config.networks.push_back({lab, "lab"});
  NetworkCreation plain;
  plain.id = "null";
  config.networks.push_back({plain, "plain"});

  PolicyCreation policy;
  policy.id = "low-ports";
  policy.network = "lab";
  policy.spec = {.priority = -5, .allow = true, .log = true, .reset_existing = true};
  policy.spec.from = {
      .vm = "vms/a", .groups = {"true", "x y", "\u00e4"}, .labels = {{"tier", "1.0"}}, .cids = CidSpan{3, 9}};
  policy.spec.to.host = true;
  policy.spec.ports = {{22, 22}, {1000, 2000}};
  config.policies.push_back({policy, "policy"});

  VmCreation vm;
  vm.id = "a";
  vm.labels = {{"tier", "null"}, {"zone", ""}, {"n", "0x1f"}, {"v", "1e3"}};
  vm.annotations = {{"note", "line\nline \"quoted\" \t# no comment \\"},
                    {"~", "x"},
                    {std::string(1500, 'k'), "long"},
                    {"\u2603", "- [a, b]: {c}"}};
  vm.spec.network = "lab";
  vm.spec.cid = CidRequest::Range(1024, 2000);
  vm.spec.cid.sticky = true;
  vm.spec.vhost_user_socket = "/run/a.sock";
  vm.spec.has_uds = true;
  vm.spec.uds_path = "/run/a#1.uds";
  vm.spec.groups = {"db", "a: b", "null"};
  vm.spec.queue_size = 512;
  vm.spec.tx_buffer_bytes = 4096;
  vm.spec.allow_seqpacket = false;
  vm.spec.quota = {.max_connections = 5,
                   .max_pending_connections = 4,
                   .connects_per_second = {10, 0},
                   .bytes_from_guest = {1'000'000, 500'000}};
  vm.spec.readiness = {Readiness::Source::kProbe, 22};
  vm.spec.orphan_ttl = std::chrono::milliseconds(1'500);
  config.vms.push_back({vm, "a"});
  VmCreation proxy;
  proxy.id = "b";
  proxy.spec.cid = CidRequest::Fixed(42);
  proxy.spec.vsock_proxy = VsockProxy{.forward_cid = 1, .listen_ports = {9001, 9002}};
  config.vms.push_back({proxy, "b"});
  VmCreation automatic;
  automatic.id = "c";
  config.vms.push_back({automatic, "c"});
  return config;
}

TEST(WrittenConfigTest, IsReadAsItWas) {
  const Config config = Everything();
  const std::string yaml = ConfigToYaml(config);
  const absl::StatusOr<YamlConfig> read = ParseYamlConfig(yaml, "f");
  ASSERT_TRUE(read.ok()) << read.status() << "\n" << yaml;
  EXPECT_EQ(read->api_sockets, config.api_sockets);
  EXPECT_EQ(read->api_view_sockets, config.api_view_sockets);
  ASSERT_EQ(read->api_tcp.size(), 1u);
  EXPECT_EQ(read->api_tcp[0].text(), "[::1]:7443");
  EXPECT_EQ(read->tls.key, "/k");
  EXPECT_EQ(read->socket_dirs, config.socket_dirs);
  EXPECT_EQ(read->vm_socket_dir, config.vm_socket_dir);
  EXPECT_EQ(read->api_roles, config.api_roles);
  EXPECT_EQ(read->quota, config.quota);
  EXPECT_EQ(read->state_dir, config.state_dir);
  EXPECT_EQ(read->reactors, config.reactors);
  EXPECT_EQ(read->poll, config.poll);
  EXPECT_EQ(read->log_format, config.log_format);
  ASSERT_EQ(read->networks.size(), config.networks.size());
  for (size_t i = 0; i < config.networks.size(); ++i) {
    EXPECT_EQ(read->networks[i].creation.id, config.networks[i].creation.id);
    EXPECT_EQ(read->networks[i].creation.spec, config.networks[i].creation.spec) << yaml;
  }
  ASSERT_EQ(read->policies.size(), 1u);
  EXPECT_EQ(read->policies[0].creation.id, "low-ports");
  EXPECT_EQ(read->policies[0].creation.network, "lab");
  EXPECT_EQ(read->policies[0].creation.spec, config.policies[0].creation.spec) << yaml;
  ASSERT_EQ(read->vms.size(), config.vms.size());
  for (size_t i = 0; i < config.vms.size(); ++i) {
    const VmCreation &is = read->vms[i].creation, &was = config.vms[i].creation;
    EXPECT_EQ(is.id, was.id);
    EXPECT_EQ(is.labels, was.labels) << yaml;
    EXPECT_EQ(is.annotations, was.annotations) << yaml;
    EXPECT_EQ(is.spec, was.spec) << yaml;
  }
}

TEST(WrittenConfigTest, IsWrittenAgainAsItWas) {
  testing::TempDir dir;
  Config config = Everything();
  config.api_tcp.clear();  // whose certificates would have to be there
  config.tls = {};
  const std::string yaml = ConfigToYaml(config);
  std::ofstream(dir / "k.yaml") << yaml;
  const absl::StatusOr<CommandLine> line = Parse({"--config", dir / "k.yaml", "--print-config"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->action, CommandLine::Action::kPrint);
  EXPECT_THAT(line->problems, IsEmpty());
  EXPECT_EQ(line->text, yaml);
}

TEST(WrittenConfigTest, AReservedCidIsWrittenAsTheOneItIs) {
  VmSpec spec;
  spec.cid = CidRequest::Reserved("default", 50);
  const absl::StatusOr<YamlConfig> read = ParseYamlConfig("vms:\n" + VmToYaml("a", {}, {}, spec), "f");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->vms[0].creation.spec.cid, CidRequest::Fixed(50));
}

}  // namespace
}  // namespace kinsock
