// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_CONFIG_BAD_YAML_H_
#define KINSOCK_TESTS_SERVER_CONFIG_BAD_YAML_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/config/yaml_config.h"

namespace kinsock::testing {

// A configuration file "f" that is wrong, and a part of what is said of it.
struct BadYaml {
  const char* yaml;
  const char* says;
};

inline void ExpectRefused(const std::vector<BadYaml>& cases) {
  for (const BadYaml& test : cases) {
    const absl::Status refused = ParseYamlConfig(test.yaml, "f").status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << test.yaml;
    EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr(test.says)) << test.yaml;
  }
}

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_CONFIG_BAD_YAML_H_
