// SPDX-License-Identifier: Apache-2.0
//
// Files: the daemon's own settings and its VMs.
#include "server/config/yaml_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "tests/server/config/bad_yaml.h"
#include "tests/server/config/command_line.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using testing::BadYaml;
using ::testing::ElementsAre;
using testing::ExpectRefused;
using testing::Good;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(YamlTest, AFileOfTheExistingDaemonLoadsUnchanged) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(R"(
vms:
    - guest_cid: 3
      socket: /tmp/vhost3.socket
      uds_path: /tmp/vm3.sock
      tx_buffer_size: 65536
      queue_size: 1024
      groups: group1+groupA
    - guest-cid: 4
      socket: "/tmp/vhost4.socket"
      uds-path: /tmp/vm4.sock
      tx-buffer-size: 65536
      queue-size: 1024
      groups: group2+groupB
    - guest_cid: 5
      socket: /tmp/vhost5.socket
      forward-cid: 1
      forward-listen: 9001+9002
    - guest_cid: 6
      socket: /tmp/vhost6.socket
      forward_cid: 1
      forward_listen: 9003
)",
                                                            "old.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->vms.size(), 4u);
  EXPECT_EQ(config->vms[0].origin, "old.yaml:3:7");
  EXPECT_EQ(config->vms[2].creation.spec.vsock_proxy, (VsockProxy{.forward_cid = 1, .listen_ports = {9001, 9002}}));
  EXPECT_EQ(config->vms[3].creation.spec.vsock_proxy, (VsockProxy{.forward_cid = 1, .listen_ports = {9003}}));
  EXPECT_EQ(config->vms[1].creation.spec.cid, CidRequest::Fixed(4));
  EXPECT_THAT(config->vms[1].creation.spec.groups, ElementsAre("group2", "groupB"));
  EXPECT_THAT(config->api_sockets, IsEmpty());
}

TEST(YamlTest, OurOwnKeys) {
  unsetenv("XDG_RUNTIME_DIR");
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(
      "api: {listen: ['unix:%t/kinsock/api.sock']}\n"
      "vms: [{name: web-1, guest_cid: auto, socket: '%t/kinsock/web-1.sock', groups: [web, db]}]\n",
      "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->api_sockets, ElementsAre("/run/kinsock/api.sock"));
  const VmCreation& vm = config->vms[0].creation;
  EXPECT_EQ(vm.id, "web-1");
  EXPECT_EQ(vm.spec.cid, CidRequest::Automatic());
  EXPECT_EQ(vm.spec.vhost_user_socket, "/run/kinsock/web-1.sock");
  EXPECT_THAT(vm.spec.groups, ElementsAre("web", "db"));
}

TEST(YamlTest, Quotas) {
  const absl::StatusOr<YamlConfig> file = ParseYamlConfig(
      "defaults: {quota: {max_connections: 1024, bytes_to_guest: {rate: 1000000, burst: 20000}}}\n"
      "vms:\n"
      "- {guest_cid: 3, socket: /run/a.sock, quota: {max-connections: 5, connects_per_second: 10}}\n",
      "f");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->quota.max_connections, 1024u);
  EXPECT_EQ(file->quota.bytes_to_guest, (Rate{1'000'000, 20'000}));
  ASSERT_EQ(file->vms.size(), 1u);
  EXPECT_EQ(file->vms[0].creation.spec.quota.max_connections, 5u);
  EXPECT_EQ(file->vms[0].creation.spec.quota.connects_per_second, (Rate{10, 0}));
}

TEST(YamlTest, FaultsOfQuotas) {
  const std::string faults(
      ParseYamlConfig("defaults:\n"
                      "  quta: {}\n"
                      "  quota:\n"
                      "    max_conections: 5\n"
                      "    max_buffer_bytes: much\n"
                      "    bytes_to_guest: [1]\n"
                      "    bytes_from_guest: {rate: x, bust: 1}\n"
                      "vms: [{guest_cid: 3, socket: /run/a.sock, quota: {max_connections: 70000}}]\n",
                      "f")
          .status()
          .message());
  EXPECT_THAT(faults, AllOf(HasSubstr("f:2:3: defaults.quta: is not a setting (did you mean \"quota\"?)"),
                            HasSubstr("f:4:5: defaults.quota.max_conections: is not a limit (did you mean"),
                            HasSubstr("f:5:23: defaults.quota.max_buffer_bytes: is not a number"),
                            HasSubstr("f:6:21: defaults.quota.bytes_to_guest: is neither a number nor"),
                            HasSubstr("defaults.quota.bytes_from_guest.rate: is not a number"),
                            HasSubstr("defaults.quota.bytes_from_guest.bust: is not part of a rate"),
                            HasSubstr("vms[0].quota.max_connections: 70000 is not from 1 to 65536")));
}

TEST(YamlTest, WhoSaysThatAGuestIsReady) {
  const absl::StatusOr<YamlConfig> file = ParseYamlConfig(
      "vms:\n"
      "- {guest_cid: 3, socket: /run/a.sock, readiness: {guest_connects_port: 9000}}\n"
      "- {guest_cid: 4, socket: /run/b.sock, readiness: {probe-guest-port: 22}}\n"
      "- {guest_cid: 5, socket: /run/c.sock, readiness: {sd_notify_port: 9001}}\n",
      "f");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->vms.size(), 3u);
  EXPECT_EQ(file->vms[0].creation.spec.readiness, (Readiness{Readiness::Source::kGuestConnects, 9000}));
  EXPECT_EQ(file->vms[1].creation.spec.readiness, (Readiness{Readiness::Source::kProbe, 22}));
  EXPECT_EQ(file->vms[2].creation.spec.readiness, (Readiness{Readiness::Source::kNotify, 9001}));
  const std::string faults(
      ParseYamlConfig("vms:\n"
                      "- {guest_cid: 3, socket: /run/a.sock, readiness: {sd_notify_prot: 1}}\n"
                      "- {guest_cid: 4, socket: /run/b.sock, readiness: {sd_notify_port: 1, probe_guest_port: 2}}\n"
                      "- {guest_cid: 5, socket: /run/c.sock, readiness: {sd_notify_port: x}}\n"
                      "- {guest_cid: 6, socket: /run/d.sock, readiness: {sd_notify_port: 0}}\n",
                      "f")
          .status()
          .message());
  EXPECT_THAT(faults, AllOf(HasSubstr("readiness.sd_notify_prot: is not a source (did you mean \"sd_notify_port\"?)"),
                            HasSubstr("vms[1].readiness: is not one source"),
                            HasSubstr("vms[2].readiness.sd_notify_port: is not a port"),
                            HasSubstr("vms[3].readiness: 0 is not a port from 1 to 4294967294")));
}

TEST(YamlTest, WhoMayUseTheApi) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(
      "api:\n"
      "  viewer_socket: unix:/v\n"
      "  roles: {admin: {gids: [50002]}, viewer: {uids: [50001, daemon], gids: [50003]}}\n",
      "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->api_view_sockets, ElementsAre("/v"));
  EXPECT_EQ(config->api_roles.RoleOf({50'000, 50'002, 1, {}}), Role::kAdmin);
  EXPECT_EQ(config->api_roles.RoleOf({50'001, 50'000, 1, {}}), Role::kViewer);
  EXPECT_EQ(config->api_roles.RoleOf({1, 50'000, 1, {}}), Role::kViewer);
  EXPECT_EQ(config->api_roles.RoleOf({50'000, 50'000, 1, {50'003}}), Role::kViewer);
}

TEST(YamlTest, TheApiOverTcp) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(
      "api: {listen: ['tcp:127.0.0.1:7443', 'unix:/x', 'tcp:[::1]:7443'], tls: {cert: /c, key: /k, client_ca: /a},\n"
      "      roles: {admin: {sans: ['spiffe://fleet/boss']}}}\n",
      "f");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->api_tcp.size(), 2u);
  EXPECT_EQ(config->api_tcp[1].text(), "[::1]:7443");
  EXPECT_THAT(config->api_sockets, ElementsAre("/x"));
  EXPECT_EQ(config->tls.certificate, "/c");
  EXPECT_EQ(config->tls.key, "/k");
  EXPECT_EQ(config->tls.client_ca, "/a");
  EXPECT_EQ(config->api_roles.RoleOf(std::vector<std::string>{"spiffe://fleet/boss"}).first, Role::kAdmin);
}

TEST(YamlTest, AnEmptyFileAsksForNothing) {
  EXPECT_TRUE(ParseYamlConfig("", "f").ok());
  EXPECT_TRUE(ParseYamlConfig("vms:\n", "f").ok());
}

TEST(YamlTest, FaultsNameLineColumnAndField) {
  const std::vector<BadYaml> cases = {
      {"vms:\n  - guest_cid: 2\n", "f:2:16: vms[0].guest_cid: 2 is reserved"},
      {"vms:\n  - guest_cid: 3\n    queue_sze: 1\n",
       "f:3:5: vms[0].queue_sze: is not a setting of a VM (did you mean \"queue_size\"?)"},
      {"vms:\n  - guest_cid: three\n", "f:2:16: vms[0].guest_cid: \"three\" is not a number"},
      {"vms:\n  - guest_cid: [3]\n", "f:2:16: vms[0].guest_cid: is not a single value"},
      {"vms:\n  - guest_cid: 3\n    guest-cid: 4\n", "f:3:5: vms[0].guest_cid: was said already in line 2"},
      {"vms:\n  - guest_cid: auto\n", "f:2:5: vms[0]: has neither a name nor a fixed guest_cid"},
      {"vms:\n  - guest_cid: 3\n    forward_cid: one\n", "f:3:18: vms[0].forward_cid: \"one\" is not a number"},
      {"vms:\n  - forward_cid: 1\n    forward_listen: 0+9\n",
       "f:3:21: vms[0].forward_listen: 0 is not a port from 1 to 4294967294"},
      {"vms:\n  - guest_cid: 3\n    groups: [a, [b]]\n", "f:3:13: vms[0].groups: has an entry that is not text"},
      {"vms:\n  - just text\n", "f:2:5: vms[0]: is not a VM"},
      {"vms: 3\n", "f:1:6: vms: is not a list"},
      {"http: {ui: maybe}\n", "f:1:12: http.ui: \"maybe\" is neither on nor off"},
      {"capture: yes\n", "f:1:10: capture: is not a map"},
      {"capture: {payloads: true}\n", "f:1:11: capture.payloads: is not a setting (did you mean \"payload\"?)"},
      {"capture: {payload: some}\n", "f:1:20: capture.payload: "},
      {"vmss: []\n", "f:1:1: vmss: is not a setting (did you mean \"vms\"?)"},
      {"api: {listen: unix:/x}\n", "f:1:15: api.listen: is not a list"},
      {"api: {listen: [/x]}\n", "f:1:16: api.listen: \"/x\" is not a UNIX socket; give unix:PATH"},
      {"api: {viewer_socket: {a: b}}\n", "f:1:22: api.viewer_socket: is or has what is not text"},
      {"api: {viewer_socket: [unix:/x, [a]]}\n", "f:1:32: api.viewer_socket: is or has what is not text"},
      {"daemon: {reactors: 65}\n", "f:1:20: daemon.reactors: is not a number from 1 to 64"},
      {"daemon: {poll_us: 10001}\n", "f:1:19: daemon.poll_us: is not a number from 0 to 10000"},
      {"daemon: {log_format: xml}\n", "f:1:22: daemon.log_format: is neither kv nor json"},
      {"defaults: {queue_size: 5}\n", "f:1:24: defaults.queue_size: 5 is not a power of two"},
      {"defaults: {socket_dir: /a/../b}\n", "f:1:24: defaults.socket_dir: \"/a/../b\" has \"..\" in it"},
      {"defaults: {socket_dir: [/a]}\n", "f:1:24: defaults.socket_dir: is empty; give an absolute path"},
      {"vms:\n  - guest_cid: 2047-1024\n    name: a\n", "f:2:16: vms[0].guest_cid: "},
      {"vms:\n  - guest_cid: 1024-x\n", "f:2:16: vms[0].guest_cid: \"1024-x\" is not a number"},
      {"vms:\n  - {guest_cid: 3, sticky_cid: true}\n", "f:2:32: vms[0].sticky_cid: is of no use with a fixed"},
      {"vms:\n  - labels: [a]\n", "f:2:13: vms[0].labels: is not a map"},
      {"vms:\n  - labels: {a b: c}\n", "f:2:13: vms[0].labels: key \"a b\" is not"},
      {"vms:\n  - labels: {a: b, a: c}\n", "f:2:20: vms[0].labels: has \"a\" twice"},
      {"vms:\n  - annotations: {a: [b]}\n", "f:2:19: vms[0].annotations: has what is not text"},
      {"vms:\n  - orphan_ttl: ten\n", "f:2:17: vms[0].orphan_ttl: is not a time"},
      {"vms:\n  - orphan_ttl: 721h\n", "f:2:17: vms[0].orphan_ttl: is not from 0 to 720 hours"},
      {"vms:\n  - allow_seqpacket: 1\n", "f:2:22: vms[0].allow_seqpacket: is neither true nor false"},
      {"api: {rolls: 1}\n", "f:1:7: api.rolls: is not a setting (did you mean \"roles\"?)"},
      {"api: {listen: ['tcp:host:1']}\n", "f:1:16: api.listen: \"tcp:host:1\" is not an address"},
      {"api: {socket_dirs: /a}\n", "f:1:20: api.socket_dirs: is not a list"},
      {"api: {socket_dirs: [/a/]}\n", "f:1:21: api.socket_dirs: \"/a/\" has an empty component"},
      {"api: {tls: 1}\n", "f:1:12: api.tls: is not a map"},
      {"api: {tls: {crt: /c}}\n", "f:1:13: api.tls.crt: is not a setting (did you mean \"cert\"?)"},
      {"api: {tls: {key: [a]}}\n", "f:1:18: api.tls.key: is not the name of a file"},
      {"api: {roles: 1}\n", "f:1:14: api.roles: is not a map"},
      {"api: {roles: {boss: {uids: [1]}}}\n", "f:1:29: api.roles.boss.uids: \"boss\" is no role"},
      {"api: {roles: {admin: 1}}\n", "f:1:22: api.roles.admin: is not a map"},
      {"api: {roles: {admin: {uid: [1]}}}\n", "f:1:23: api.roles.admin.uid: is not a setting (did you mean \"uids\"?)"},
      {"api: {roles: {admin: {uids: 1}}}\n", "f:1:29: api.roles.admin.uids: is not a list"},
      {"api: {roles: {admin: {gids: [no-such-group-here]}}}\n", "is no group of this machine"},
      {"http: 1\n", "f:1:7: http: is not a map"},
      {"http: {listn: x}\n", "f:1:8: http.listn: is not a setting (did you mean \"listen\"?)"},
      {"http: {listen: [x]}\n", "f:1:16: http.listen: is not a single value"},
      {"http: {listen: \"tcp:0.0.0.0:80\"}\n", "can be reached from other machines"},
      {"http: {per_vm_metrics: some}\n", "f:1:24: http.per_vm_metrics: \"some\" is none of full, basic and off"},
      {"- a\n", "f:1:1: the file is not a list of \"key: value\" pairs"},
      {"vms: [\n", "is not YAML"},
      {"? [a]\n: b\n", "a key is not a word"},
  };
  ExpectRefused(cases);
}

TEST(YamlTest, AllFaultsAreSaidAtOnce) {
  const absl::Status refused =
      ParseYamlConfig("vms:\n  - guest_cid: 2\n  - guest_cid: 3\n    queue_size: 5\nnosuch: 1\n", "f").status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("f:2:16"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("f:4:17"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("f:5:1"));
}

TEST(YamlTest, AVmSaysAllThatTheApiKnows) {
  const absl::StatusOr<YamlConfig> config = ParseYamlConfig(R"(
defaults: {queue_size: 256, tx_buffer_size: 32768}
vms:
  - {name: a, guest_cid: 1024-2047, sticky-cid: true, network: lab, labels: {tier: web, zone: "1"},
     annotations: {owner: team a}, orphan_ttl: 90s, allow_seqpacket: false, queue_size: 512}
)",
                                                            "f");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->vms.size(), 1u);
  const VmCreation& vm = config->vms[0].creation;
  CidRequest cid = CidRequest::Range(1024, 2047);
  cid.sticky = true;
  EXPECT_EQ(vm.spec.cid, cid);
  EXPECT_EQ(vm.labels, (std::map<std::string, std::string>{{"tier", "web"}, {"zone", "1"}}));
  EXPECT_EQ(vm.annotations.at("owner"), "team a");
  EXPECT_EQ(vm.spec.orphan_ttl, std::chrono::seconds(90));
  EXPECT_EQ(vm.spec.allow_seqpacket, false);
  EXPECT_EQ(vm.spec.queue_size, 512u) << "its own";
  EXPECT_EQ(vm.spec.tx_buffer_bytes, 32768u) << "the file's";
}

TEST(YamlTest, FaultsHaveABound) {
  std::string yaml = "vms:\n";
  for (int i = 0; i < 1000; ++i) yaml += "  - {guest_cid: 2, grups: a}\n";
  const std::string faults(ParseYamlConfig(yaml, "f").status().message());
  EXPECT_LT(faults.size(), 100'000u);
  EXPECT_THAT(faults, HasSubstr("f: has 800 more faults"));
}

TEST(YamlTest, AliasesOfAliasesAreBounded) {
  // Some 8 KiB that would be 10^9 labels if each alias were a copy.
  std::string yaml = "vms:\n- &vm {guest_cid: 3, labels: {";
  for (int i = 0; i < 64; ++i) yaml += "l" + std::to_string(i) + ": x, ";
  yaml += "}}\n";
  for (int i = 0; i < 20'000; ++i) yaml += "- *vm\n";
  EXPECT_THAT(std::string(ParseYamlConfig(yaml, "f").status().message()), HasSubstr("a daemon at most 16384"));
}

TEST(YamlTest, DeepNestingIsNoCrash) { EXPECT_FALSE(ParseYamlConfig("vms: " + std::string(100'000, '['), "f").ok()); }

TEST(YamlTest, TheFileIsTakenThroughTheCommandLine) {
  testing::TempDir dir;
  std::ofstream(dir / "k.yaml") << "vms:\n  - guest_cid: 9\n    socket: /tmp/s\n";
  const Config config = Good({"--config", dir / "k.yaml"});
  ASSERT_EQ(config.vms.size(), 1u);
  EXPECT_EQ(config.vms[0].creation.id, "vm-9");
  EXPECT_THAT(config.api_sockets, IsEmpty());
}

}  // namespace
}  // namespace kinsock
