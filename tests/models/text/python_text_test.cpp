#include "models/text/python_text.h"

#include <gtest/gtest.h>

#include "models/text/letter_case.h"

namespace orthant::models {
namespace {

// What CPython 3.11 gives for the same.
TEST(PythonText, CountsCodePoints) {
  EXPECT_EQ(code_points(""), 0);
  EXPECT_EQ(code_points("é"), 1);
  EXPECT_EQ(code_points("a 中😀"), 4);
}

TEST(PythonText, StripsTheWhiteSpaceOfPython) {
  EXPECT_EQ(python_strip(" \t\n\x1f\u00a0a b\u2003\u3000\x1c"), "a b");
  EXPECT_EQ(python_strip(" \u2009 "), "");
  EXPECT_EQ(python_strip(""), "");
  EXPECT_EQ(python_strip("\u200b"), "\u200b");  // zero width, but no white space
  EXPECT_EQ(python_left_strip("\n a "), "a ");
}

TEST(PythonText, CountsThePiecesBetweenWhiteSpace) {
  EXPECT_EQ(white_space_pieces(""), 1);
  EXPECT_EQ(white_space_pieces(" "), 2);
  EXPECT_EQ(white_space_pieces("a \n\u00a0b"), 2);
  EXPECT_EQ(white_space_pieces(" a b "), 4);
}

TEST(PythonText, ReplacesInOnePass) {
  EXPECT_EQ(replace_all("a   b", "  ", " "), "a  b");
  EXPECT_EQ(replace_all("aaa", "aa", "b"), "ba");
  EXPECT_EQ(replace_all("", "a", "b"), "");
}

TEST(PythonText, Capitalizes) {
  EXPECT_EQ(python_capitalize("hELLO World"), "Hello world");
  EXPECT_EQ(python_capitalize("éCOLE É"), "École é");
  EXPECT_EQ(python_capitalize("ÀÉ Î"), "Àé î");
  EXPECT_EQ(python_capitalize("1ABC"), "1abc");
  EXPECT_EQ(python_capitalize(""), "");
  EXPECT_EQ(python_capitalize("ΔΕΛ ЖЗ"), "Δελ жз");
}

TEST(LetterCase, ChangesLettersAlone) {
  EXPECT_EQ(lower_case("A1-B_É Ω"), "a1-b_é ω");
  EXPECT_EQ(upper_case("a1-b_é ω中"), "A1-B_É Ω中");
  EXPECT_EQ(lower_case(""), "");
}

}  // namespace
}  // namespace orthant::models
