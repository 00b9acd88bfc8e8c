// SPDX-License-Identifier: Apache-2.0
//
// Whether captures may have payload, by command line and file.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "server/config/config_yaml.h"
#include "server/config/yaml_config.h"
#include "tests/server/config/command_line.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using testing::Good;

TEST(CaptureSettingsTest, PayloadIsAllowedOnlyWhereSomebodySaysSo) {
  EXPECT_FALSE(Good({}).capture_payload);
  EXPECT_TRUE(Good({"--capture-payload"}).capture_payload);
  testing::TempDir dir;
  std::ofstream(dir / "k.yaml") << "capture: {payload: true}\n";
  EXPECT_TRUE(Good({"--config", dir / "k.yaml"}).capture_payload);
  const absl::StatusOr<YamlConfig> read = ParseYamlConfig(ConfigToYaml(Good({"--capture-payload"})), "f");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->capture_payload) << "and it is printed";
  EXPECT_EQ(ConfigToYaml(Good({})).find("capture"), std::string::npos);
}

}  // namespace
}  // namespace kinsock
