#include "runtime/report/html_page.h"

#include <gtest/gtest.h>

#include "tests/support/xml_check.h"

namespace orthant {
namespace {

TEST(HtmlPage, IsWellFormedAndSelfContained) {
  HtmlPage page("a < b & c");
  page.set_lead("<p>lead</p>");
  page.add_section("One & two", "<p>text</p>");
  page.add_section("Empty", "");
  const std::string html = page.finish();
  EXPECT_EQ(testing::xml_problem(html), "");
  EXPECT_NE(html.find("<h1>a &lt; b &amp; c</h1>"), std::string::npos);
  EXPECT_NE(html.find("<a href=\"#section-1\">One &amp; two</a>"), std::string::npos);
  EXPECT_EQ(html.find("Empty"), std::string::npos);
  EXPECT_NE(html.find("prefers-color-scheme: dark"), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("://"), std::string::npos);
}

TEST(HtmlPage, TablesTurn) {
  const Table table = {.columns_html = {"", "a", "b"},
                       .rows = {{text_cell("x"), number_cell(1), number_cell(2)},
                                {text_cell("<y>"), number_cell(3), text_cell("four")}}};
  const Table turned = transposed(table);
  ASSERT_EQ(turned.rows.size(), 2u);
  EXPECT_EQ(turned.columns_html, (std::vector<std::string>{"", "x", "&lt;y&gt;"}));
  EXPECT_EQ(turned.rows[1][0].html, "b");
  EXPECT_EQ(turned.rows[1][1].html, "2");
  EXPECT_EQ(turned.rows[1][2].html, "four");
  EXPECT_EQ(testing::xml_problem(table_html(table)), "");
  EXPECT_EQ(testing::xml_problem(table_html(turned)), "");
}

TEST(HtmlPage, CollapsiblePartsAreClosedUnlessSaid) {
  EXPECT_EQ(collapsible("more & more", "<p/>"),
            "<details><summary>more &amp; more</summary><p/></details>\n");
  EXPECT_EQ(testing::xml_problem(collapsible("x", "<p/>", true)), "");
  EXPECT_NE(collapsible("x", "<p/>", true).find("open=\"open\""), std::string::npos);
}

}  // namespace
}  // namespace orthant
