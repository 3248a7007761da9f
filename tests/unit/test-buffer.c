/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guardd/buffer-stock.h"

#include <string.h>

static void
test_a_buffer_is_used_again (void)
{
  BufferStock *stock = buffer_stock_new (1);
  guint8 *first = buffer_stock_take (stock, BUFFER_STOCK_BYTES);
  first[BUFFER_STOCK_BYTES - 1] = 7;
  buffer_stock_give (stock, first, BUFFER_STOCK_BYTES);
  guint8 *again = buffer_stock_take (stock, BUFFER_STOCK_BYTES);
  g_assert_true (again == first);
  g_assert_cmpint (again[BUFFER_STOCK_BYTES - 1], ==, 7);
  buffer_stock_give (stock, again, BUFFER_STOCK_BYTES);
  buffer_stock_unref (stock);
}

static void
test_what_is_taken_is_its_user_s_alone (void)
{
  BufferStock *stock = buffer_stock_new (1);
  guint8 *one = buffer_stock_take (stock, BUFFER_STOCK_BYTES),
         *two = buffer_stock_take (stock, BUFFER_STOCK_BYTES);
  g_assert_true (one != two);
  memset (one, 1, BUFFER_STOCK_BYTES);
  memset (two, 2, BUFFER_STOCK_BYTES);
  g_assert_cmpint (one[BUFFER_STOCK_BYTES - 1], ==, 1);
  buffer_stock_give (stock, one, BUFFER_STOCK_BYTES);
  buffer_stock_give (stock, two, BUFFER_STOCK_BYTES); /* one too many: unmapped */
  g_assert_true (buffer_stock_take (stock, BUFFER_STOCK_BYTES) == one);
  buffer_stock_give (stock, one, BUFFER_STOCK_BYTES);
  buffer_stock_unref (stock);
}

static void
test_a_user_may_outlive_the_owner (void)
{
  BufferStock *owner = buffer_stock_new (1), *user = buffer_stock_ref (owner);
  guint8 *buffer = buffer_stock_take (user, BUFFER_STOCK_BYTES);
  buffer_stock_unref (owner);
  buffer_stock_give (user, buffer, BUFFER_STOCK_BYTES);
  buffer_stock_unref (user);
}

static void
test_one_of_another_size_is_not_kept (void)
{
  BufferStock *stock = buffer_stock_new (1);
  guint8 *small = buffer_stock_take (stock, 65536);
  small[65535] = 7;
  buffer_stock_give (stock, small, 65536);
  guint8 *whole = buffer_stock_take (stock, BUFFER_STOCK_BYTES);
  g_assert_cmpint (whole[65535], ==, 0);
  whole[BUFFER_STOCK_BYTES - 1] = 1;
  buffer_stock_give (stock, whole, BUFFER_STOCK_BYTES);
  buffer_stock_unref (stock);
}

static void
test_without_a_stock_each_has_its_own (void)
{
  guint8 *buffer = buffer_stock_take (NULL, BUFFER_STOCK_BYTES);
  buffer[0] = 1;
  buffer_stock_give (NULL, buffer, BUFFER_STOCK_BYTES);
  buffer_stock_give (NULL, NULL, BUFFER_STOCK_BYTES);
  buffer_stock_unref (buffer_stock_ref (NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/buffer/used-again", test_a_buffer_is_used_again);
  g_test_add_func ("/buffer/alone", test_what_is_taken_is_its_user_s_alone);
  g_test_add_func ("/buffer/outlives", test_a_user_may_outlive_the_owner);
  g_test_add_func ("/buffer/size", test_one_of_another_size_is_not_kept);
  g_test_add_func ("/buffer/none", test_without_a_stock_each_has_its_own);
  return g_test_run ();
}
