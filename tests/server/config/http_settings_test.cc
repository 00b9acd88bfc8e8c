// SPDX-License-Identifier: Apache-2.0
//
// Where HTTP is served, by command line and file.
#include "server/config/http_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "server/config/config_yaml.h"
#include "server/config/yaml_config.h"
#include "tests/server/config/command_line.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using testing::Fault;
using testing::Good;
using ::testing::HasSubstr;

TEST(HttpSettingsTest, ServedNowhereUnlessAskedFor) {
  EXPECT_FALSE(Good({}).http.wanted());
  EXPECT_EQ(Good({"--http", "unix:/run/h.sock"}).http.socket, "/run/h.sock");
  EXPECT_EQ(Good({"--http", "tcp:127.0.0.1:9470"}).http.tcp->text(), "127.0.0.1:9470");
  EXPECT_EQ(Good({"--http", "tcp:[::1]:9470", "--per-vm-metrics", "basic"}).http.per_vm, PerVmMetrics::kBasic);
  EXPECT_TRUE(Good({"--http", "tcp:[::1]:9470"}).http.ui);
  EXPECT_FALSE(Good({"--http", "tcp:[::1]:9470", "--http-ui", "off"}).http.ui);
}

TEST(HttpSettingsTest, WhatWouldLetOthersInIsRefused) {
  for (const char* endpoint : {"tcp:0.0.0.0:80", "tcp:192.0.2.1:80", "tcp:[::]:80"}) {
    EXPECT_THAT(Fault({"--http", endpoint}), HasSubstr("can be reached from other machines")) << endpoint;
  }
  EXPECT_THAT(Fault({"--http", "http://localhost"}), HasSubstr("--http: "));
  EXPECT_THAT(Fault({"--per-vm-metrics", "none"}), HasSubstr("--per-vm-metrics: \"none\" is none of"));
}

TEST(HttpSettingsTest, ThePrintedConfigurationHasThem) {
  for (const char* endpoint : {"unix:/run/h.sock", "tcp:127.0.0.1:9470"}) {
    const std::string printed = ConfigToYaml(Good({"--http", endpoint, "--per-vm-metrics", "off"}));
    const absl::StatusOr<YamlConfig> read = ParseYamlConfig(printed, "f");
    ASSERT_TRUE(read.ok()) << read.status() << printed;
    EXPECT_EQ(read->http.endpoint(), endpoint);
    EXPECT_EQ(read->http.per_vm, PerVmMetrics::kOff);
  }
  EXPECT_EQ(ConfigToYaml(Good({})).find("http:"), std::string::npos) << "served nowhere";
}

TEST(HttpSettingsTest, TheCommandLineStandsBeforeTheFile) {
  testing::TempDir dir;
  std::ofstream(dir / "k.yaml") << "http: {listen: \"unix:/run/h.sock\", per_vm_metrics: off}\n";
  EXPECT_EQ(Good({"--config", dir / "k.yaml"}).http.socket, "/run/h.sock");
  EXPECT_EQ(Good({"--config", dir / "k.yaml"}).http.per_vm, PerVmMetrics::kOff);
  const Config config = Good({"--config", dir / "k.yaml", "--http", "tcp:127.0.0.1:1"});
  EXPECT_EQ(config.http.socket, "");
  EXPECT_TRUE(config.http.tcp.has_value());
}

}  // namespace
}  // namespace kinsock
