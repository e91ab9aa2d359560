"""A shop and its stock."""

from toolbox.world import Refusal, between, choose, filled, find, pick, several, table, tidy, whole

PRODUCTS = table(
    "product_id product category price stock supplier",
    ("P10", "desk lamp", "lighting", 34.5, 12, "Lumen"),
    ("P11", "floor lamp", "lighting", 89, 3, "Lumen"),
    ("P12", "candle set", "lighting", 12, 0, "Hearth"),
    ("P13", "office chair", "furniture", 179, 7, "Oakline"),
    ("P14", "bookshelf", "furniture", 129, 4, "Oakline"),
    ("P15", "coffee table", "furniture", 99, 0, "Oakline"),
    ("P16", "standing desk", "furniture", 399, 2, "Oakline"),
    ("P17", "tea kettle", "kitchen", 45, 20, "Hearth"),
    ("P18", "frying pan", "kitchen", 38, 15, "Hearth"),
    ("P19", "knife set", "kitchen", 75, 6, "Hearth"),
    ("P20", "coffee maker", "kitchen", 119, 9, "Voltix"),
    ("P21", "toaster", "kitchen", 42, 0, "Voltix"),
    ("P22", "keyboard", "electronics", 65, 30, "Voltix"),
    ("P23", "mouse", "electronics", 25, 42, "Voltix"),
    ("P24", "monitor", "electronics", 249, 5, "Voltix"),
    ("P25", "headphones", "electronics", 149, 11, "Sonora"),
    ("P26", "speaker", "electronics", 89, 0, "Sonora"),
    ("P27", "yoga mat", "sport", 28, 18, "Motus"),
    ("P28", "dumbbells", "sport", 55, 8, "Motus"),
    ("P29", "tennis racket", "sport", 110, 4, "Motus"),
    ("P30", "backpack", "sport", 70, 13, "Motus"),
    ("P31", "water bottle", "sport", 15, 60, "Motus"),
)
CATEGORIES = tuple(dict.fromkeys(row["category"] for row in PRODUCTS.values()))


def search_products(query: str, in_stock_only: bool = False) -> dict:
    """Search for products by a word of their name.

    query: word to look for
    in_stock_only: leave out what is sold out
    """
    query = filled(query, "query", 60).lower()
    found = [row for row in PRODUCTS.values()
             if query in row["product"] and (row["stock"] or not in_stock_only)]
    return {"products": [pick(row, "product_id product price") for row in found[:4]]}


def search_products_by_price(category: str, max_price: float) -> dict:
    """Search a category for products up to a price.

    category: such as kitchen, furniture or sport
    max_price: most that the product may cost
    """
    category = choose(CATEGORIES, category, "category")
    between(max_price, 0, 10**6, "max_price")
    found = [row for row in PRODUCTS.values()
             if row["category"] == category and row["price"] <= max_price]
    return {"products": [pick(row, "product_id product price") for row in found]}


def get_product(product_id: str) -> dict:
    """Get the name, price and supplier of a product.

    product_id: id of the product
    """
    return pick(find(PRODUCTS, product_id, "product id"), "product_id product price supplier")


def get_product_stock(product_id: str) -> dict:
    """Get how many pieces of a product are left.

    product_id: id of the product
    """
    row = find(PRODUCTS, product_id, "product id")
    return {**pick(row, "product_id stock"), "available": row["stock"] > 0}


def order_product(product_id: str, quantity: int, express: bool = False) -> dict:
    """Order pieces of a product.

    product_id: id of the product
    quantity: how many pieces
    express: pay 15 more for fast delivery
    """
    row = find(PRODUCTS, product_id, "product id")
    quantity = whole(quantity, 1, 100, "quantity")
    if quantity > row["stock"]:
        raise Refusal(f"Only {row['stock']} pieces of {row['product_id']} in stock.")
    return {"order_id": f"{row['product_id']}-{quantity}{'X' if express else 'N'}",
            "total_price": tidy(quantity * row["price"] + (15 if express else 0))}


def calculate_order_total(product_ids: list[str], discount_percent: int = 0) -> dict:
    """Calculate what several products cost together.

    product_ids: ids of the products
    discount_percent: discount on the sum
    """
    rows = [find(PRODUCTS, key, "product id") for key in several(product_ids, "product_ids")]
    share = 1 - between(discount_percent, 0, 90, "discount_percent") / 100
    return {"total": tidy(share * sum(row["price"] for row in rows)), "items": len(rows)}
